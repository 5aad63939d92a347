/** The process of one contender: told a port, it makes one run there, and tells the outcome. */
import { isContenderName, load } from "./contenders.ts"
import type { Outcome } from "./outcome.ts"
import { perform } from "./run.ts"
import { isWorkload } from "./workload.ts"

const [name, workload, depth, warmup, operations] = process.argv.slice(2)
if (!isContenderName(name) || !isWorkload(workload)) throw new Error(`no such run: ${name}, ${workload}`)

const tell = (outcome: Outcome): void => {
  process.send?.(outcome)
}

// Some clients throw where nobody can catch it: in a socket's handler, or in a promise that they drop.
const failed = (error: unknown): void => tell({ kind: "fails", detail: String(error) })
process.on("uncaughtException", failed)
process.on("unhandledRejection", failed)

process.once("disconnect", () => process.exit())

const connect = load(name)

process.on("message", async (port) => {
  if (typeof port !== "number") return
  try {
    const shape = { workload, depth: Number(depth), warmup: Number(warmup), operations: Number(operations) }
    tell(await perform(await connect, { ...shape, port }))
  } catch (error) {
    failed(error)
  }
})
