/**
 * A job that takes much longer than its time to run: as long as its handler runs, the worker touches it, and nobody else
 * gets it. If the worker dies, the job is somebody else's at once, or after five seconds if its machine has died with it.
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
  // There are hands free that could take the job, should it be lost.
  const worker = yield* Worker.make(Films, transcode, { concurrency: 4 })
  const done = yield* Effect.fork(Stream.runHead(worker.events))
  yield* Films.put({ title: "Metropolis" })
  yield* done

  const server = yield* EmbeddedServer.EmbeddedServer
  const story = (yield* server.journal).map(({ event }) => event)
  const count = (wanted: string) => story.filter((event) => event === wanted).length
  const took = Duration.format(Duration.millis(yield* Clock.currentTimeMillis))
  yield* Console.log(`after ${took}: reserved once: ${count("reserved") === 1}, touched ${count("touched")} times`)
}).pipe(Effect.scoped)

NodeRuntime.runMain(program.pipe(
  Effect.provide(BeanstalkClient.layer()),
  Effect.provide(EmbeddedServer.layer()),
  Effect.provide(VirtualClock.layer())
))
