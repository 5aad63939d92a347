/** A contender from outside: a process that makes one run after another. */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { formatFor } from "./contenders.ts"
import type { ContenderName } from "./contenders.ts"
import { audit, preload } from "./harness.ts"
import { isOutcome } from "./outcome.ts"
import type { Outcome } from "./outcome.ts"
import { killOnExit } from "./processes.ts"
import { startServer } from "./server.ts"
import type { Workload } from "./workload.ts"

/** What every round of a table runs. */
export interface Cell {
  readonly workload: Workload
  readonly depth: number
  readonly warmup: number
  readonly operations: number
}

export interface Runner {
  readonly name: ContenderName
  /** Makes one run, against a beanstalkd started for it. */
  readonly run: () => Promise<Outcome>
  readonly stop: () => void
}

/** The same for every contender: TypeScript through tsx, no other flags. */
const execArgv = ["--import", import.meta.resolve("tsx")]

/** The process reports a client that hangs by itself, and sooner. This limit is for a process that is stuck in a loop. */
const silentAfterMillis = 180_000

const thisBench = new URL(".", import.meta.url)

/** Starts the process of a contender. `bench` is the folder of the code it runs, where it is not this one. */
export const startRunner = (name: ContenderName, cell: Cell, bench: URL = thisBench): Runner => {
  const { workload, depth, warmup, operations } = cell
  const path = fileURLToPath(new URL("contenderProcess.ts", bench))
  const child = fork(path, [name, workload, depth, warmup, operations].map(String), { execArgv, stdio: "pipe" })
  killOnExit(child)
  let stderr = ""
  child.stderr?.on("data", (chunk: Buffer) => stderr = (stderr + chunk.toString("utf8")).slice(-2000))
  child.stdout?.resume()

  const outcome = (port: number): Promise<Outcome> =>
    new Promise((resolve) => {
      const settle = (result: Outcome): void => {
        clearTimeout(timer)
        child.off("message", onMessage)
        child.off("exit", onExit)
        resolve(result)
      }
      const onMessage = (message: unknown): void => {
        if (isOutcome(message)) settle(message)
      }
      const onExit = (): void => {
        const reason = stderr.split("\n").find((line) => line.includes("Error"))
        settle({ kind: "fails", detail: `its process ended${reason === undefined ? "" : `: ${reason.trim()}`}` })
      }
      const timer = setTimeout(
        () => settle({ kind: "hangs", detail: `its process sent nothing for ${silentAfterMillis / 1000} s` }),
        silentAfterMillis
      )
      child.on("message", onMessage)
      child.on("exit", onExit)
      if (child.exitCode !== null) return onExit()
      child.send(port, (error) => error === null ? undefined : onExit())
    })

  const run = async (): Promise<Outcome> => {
    const server = await startServer()
    try {
      if (workload !== "put") await preload(server.port, warmup + operations, formatFor(name, workload))
      const result = await outcome(server.port)
      if (result.kind !== "measured") return result
      const difference = await audit(server.port, workload, warmup + operations)
      return difference === undefined ? result : { kind: "corrupts", detail: difference }
    } finally {
      await server.stop()
    }
  }

  return { name, run, stop: () => child.kill("SIGKILL") }
}
