/** Limits the memory of a process that runs. */
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"

/** Whether this machine can limit the memory of another process: Linux can. */
export const canLimitMemory = existsSync("/proc/self/status") &&
  spawnSync("prlimit", ["--version"], { stdio: "ignore" }).status === 0

/** Limits the memory of a server to what it has now and `spare` bytes more. */
export const limitMemory = (server: { readonly pid: number }, spare: number) =>
  Effect.sync(() => {
    const kilobytes = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]
    execFileSync("prlimit", ["--pid", `${server.pid}`, `--as=${Number(kilobytes) * 1024 + spare}`])
  })
