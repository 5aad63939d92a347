/** A process with one worker, whose jobs run until the process ends. */
import { Effect } from "effect"
import { Tube, Worker } from "../../dist/index.js"
import { NodeBeanstalk } from "../../dist/node/index.js"
import { tube } from "../workload.ts"
import "./processorTime.ts"

const [port, concurrency] = process.argv.slice(2).map(Number)

Worker.make(Tube.bytes(tube), () => Effect.never, { concurrency: Number(concurrency) }).pipe(
  Effect.zipRight(Effect.never),
  Effect.scoped,
  Effect.provide(NodeBeanstalk.layerClient({ host: "127.0.0.1", port: Number(port) })),
  Effect.runFork
)
