/**
 * A job that takes much longer than its time to run: while its handler runs, the worker touches it, and no other worker gets it.
 * If the worker's process dies, another worker gets the job at once; if its machine dies, after five seconds.
 *
 * An hour of work, simulated: `npx tsx scratchpad/long-job.ts`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Duration, Effect, Schema, Stream } from "effect"
import { BeanstalkClient, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"

const Films = Tube.make("films", { payload: Schema.Struct({ title: Schema.String }), ttr: "5 seconds" })

const transcode = ({ title }: { readonly title: string }, job: Worker.Job) =>
  Effect.gen(function*() {
    yield* Effect.sleep("1 hour")
    const { attempt } = yield* job.stats
    yield* Console.log(`${title} is transcoded, in run ${attempt}`)
  })

const program = Effect.gen(function*() {
  // Other lanes are free, and would run the job if its lease were lost.
  const worker = yield* Worker.make(Films, transcode, { concurrency: 4 })
  const completed = yield* Effect.fork(Stream.runHead(worker.events))
  yield* Films.put({ title: "Metropolis" })
  yield* completed

  const server = yield* EmbeddedServer.EmbeddedServer
  const events = (yield* server.journal).map(({ event }) => event)
  const count = (wanted: string) => events.filter((event) => event === wanted).length
  const took = Duration.format(Duration.millis(yield* Clock.currentTimeMillis))
  yield* Console.log(`after ${took}: reserved once: ${count("reserved") === 1}, touched ${count("touched")} times`)
}).pipe(Effect.scoped)

NodeRuntime.runMain(program.pipe(
  Effect.provide(BeanstalkClient.layer()),
  Effect.provide(EmbeddedServer.layer()),
  Effect.provide(VirtualClock.layer())
))
