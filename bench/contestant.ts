/** A contender as the bench sees it: a process that can be asked for one run after the other. */
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

export interface Cell {
  readonly workload: Workload
  readonly depth: number
  readonly warmup: number
  readonly operations: number
}

export interface Contestant {
  readonly name: ContenderName
  /** One run against a beanstalkd started for it. */
  readonly run: () => Promise<Outcome>
  readonly stop: () => void
}

/** The same for every contender: TypeScript through tsx, nothing else. */
const execArgv = ["--import", import.meta.resolve("tsx")]
const processPath = fileURLToPath(new URL("./contestantProcess.ts", import.meta.url))

/** The process has its own, shorter watch; this one is for a process that is stuck in a loop. */
const silentAfterMillis = 180_000

export const enter = (name: ContenderName, cell: Cell): Contestant => {
  const { workload, depth, warmup, operations } = cell
  const child = fork(processPath, [name, workload, depth, warmup, operations].map(String), { execArgv, stdio: "pipe" })
  killOnExit(child)
  let complaints = ""
  child.stderr?.on("data", (chunk: Buffer) => complaints = (complaints + chunk.toString("utf8")).slice(-2000))
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
        const reason = complaints.split("\n").find((line) => line.includes("Error"))
        settle({ kind: "fails", detail: `its process ended${reason === undefined ? "" : `: ${reason.trim()}`}` })
      }
      const timer = setTimeout(
        () => settle({ kind: "hangs", detail: `no word from its process for ${silentAfterMillis / 1000} s` }),
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
