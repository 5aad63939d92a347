/** The process of one contender: for each port that it receives it makes one run there and sends the outcome back. */
import { isClientName, isWorkerName, loadClient, loadWorker } from "./contenders.ts"
import type { Outcome } from "./outcome.ts"
import { runClient, runWorker } from "./run.ts"
import type { Run } from "./run.ts"
import { isWorkerWorkload, isWorkload } from "./workload.ts"
import type { Workload } from "./workload.ts"

const [name, workload, depth, warmup, operations] = process.argv.slice(2)

const load = async (workload: Workload): Promise<(run: Run) => Promise<Outcome>> => {
  if (isWorkerWorkload(workload) && isWorkerName(name)) {
    const startWorker = await loadWorker(name)
    return (run) => runWorker(startWorker, workload, run)
  }
  if (!isWorkerWorkload(workload) && isClientName(name)) {
    const connect = await loadClient(name)
    return (run) => runClient(connect, workload, run)
  }
  throw new Error(`${name} takes no part in ${workload}`)
}

if (!isWorkload(workload)) throw new Error(`there is no workload ${workload}`)

const send = (outcome: Outcome): void => {
  process.send?.(outcome)
}

// Some clients throw where no caller can catch it: in a socket's event handler, or in a promise that they drop.
const onError = (error: unknown): void => send({ kind: "fails", detail: String(error) })
process.on("uncaughtException", onError)
process.on("unhandledRejection", onError)

process.once("disconnect", () => process.exit())

const loading = load(workload)

process.on("message", async (port) => {
  if (typeof port !== "number") return
  try {
    const run = await loading
    send(await run({ port, depth: Number(depth), warmup: Number(warmup), operations: Number(operations) }))
  } catch (error) {
    onError(error)
  }
})
