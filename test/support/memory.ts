/** Taking memory from a program that runs. */
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"

/** Whether this machine can be told to give a running program no more memory: Linux can. */
export const canLimitMemory = existsSync("/proc/self/status") &&
  spawnSync("prlimit", ["--version"], { stdio: "ignore" }).status === 0

/** Lets a server have so many bytes more than it has, and not one beyond. */
export const limitMemory = (server: { readonly pid: number }, spare: number) =>
  Effect.sync(() => {
    const kilobytes = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]
    execFileSync("prlimit", ["--pid", `${server.pid}`, `--as=${Number(kilobytes) * 1024 + spare}`])
  })
