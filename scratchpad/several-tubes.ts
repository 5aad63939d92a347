/**
 * The workers of several tubes in one process, over one client, until Ctrl-C or SIGTERM. Then they are shut down together,
 * and the jobs that have begun are run to their end.
 *
 *     BEANSTALKD_URL=beanstalk://host:11300 npx tsx scratchpad/several-tubes.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"

const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })

const Thumbnails = Tube.make("thumbnails", { payload: Schema.Struct({ path: Schema.String }), ttr: "5 minutes" })

const Audit = Tube.text("audit")

const mails = Worker.layer(Mails, ({ to }) => Console.log(`mail to ${to}`), { concurrency: 16 })

// Each job keeps one processor busy.
const thumbnails = Worker.layer(Thumbnails, ({ path }) => Console.log(`thumbnail of ${path}`), { concurrency: 2 })

// One at a time, in order.
const audit = Worker.layer(Audit, (line) => Console.log(`audit: ${line}`))

const main = Layer.mergeAll(mails, thumbnails, audit).pipe(
  Layer.provide(NodeBeanstalk.layerClientEnv),
  Layer.launch,
  Effect.onInterrupt(() => Console.log("closed"))
)

NodeRuntime.runMain(main)
