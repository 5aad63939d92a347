/** The process of one contender: told a port, it makes one run there, and tells the outcome. */
import { isClientName, isWorkerName, loadClient, loadWorker } from "./contenders.ts"
import type { Outcome } from "./outcome.ts"
import { perform, performWorker } from "./run.ts"
import type { Run } from "./run.ts"
import { isWorkload } from "./workload.ts"
import type { Workload } from "./workload.ts"

const [name, workload, depth, warmup, operations] = process.argv.slice(2)

const load = async (workload: Workload): Promise<(run: Run) => Promise<Outcome>> => {
  if (workload === "worker" && isWorkerName(name)) {
    const employ = await loadWorker(name)
    return (run) => performWorker(employ, run)
  }
  if (workload !== "worker" && isClientName(name)) {
    const connect = await loadClient(name)
    return (run) => perform(connect, workload, run)
  }
  throw new Error(`${name} takes no part in ${workload}`)
}

if (!isWorkload(workload)) throw new Error(`there is no ${workload}`)

const tell = (outcome: Outcome): void => {
  process.send?.(outcome)
}

// Some clients throw where nobody can catch it: in a socket's handler, or in a promise that they drop.
const failed = (error: unknown): void => tell({ kind: "fails", detail: String(error) })
process.on("uncaughtException", failed)
process.on("unhandledRejection", failed)

process.once("disconnect", () => process.exit())

const performing = load(workload)

process.on("message", async (port) => {
  if (typeof port !== "number") return
  try {
    const perform = await performing
    tell(await perform({ port, depth: Number(depth), warmup: Number(warmup), operations: Number(operations) }))
  } catch (error) {
    failed(error)
  }
})
