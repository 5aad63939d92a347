/**
 * A producer and a worker on several servers, any of which may go away while they run: a job is put on another one then.
 *
 * Arguments: the URLs of the servers. It puts 300 jobs, one each 10 milliseconds, and ends when as many have run as were acknowledged.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schema, Stream } from "effect"
import { BeanstalkCluster, Tube, Worker } from "effect-beanstalk"
import { NodeCluster } from "effect-beanstalk/node"

const Numbers = Tube.make("numbers", { payload: Schema.Number })

const put = (number: number) =>
  Numbers.put(number).pipe(
    Effect.as(true),
    // Whether this job was put is not known. Put again, it might run twice.
    Effect.catchTag("ConnectionLost", ({ message }) => Effect.as(Console.log(`job ${number}: ${message}`), false)),
    Effect.zipLeft(Effect.sleep("10 millis"))
  )

const logLost = Effect.gen(function*() {
  const { memberChanges } = yield* BeanstalkCluster.BeanstalkCluster
  yield* memberChanges.pipe(
    Stream.filter(({ member }) => member.state._tag === "Lost"),
    Stream.runForEach(({ member }) => Console.log(`${member.address} is gone`))
  )
})

const main = Effect.gen(function*() {
  yield* Effect.forkScoped(logLost)
  const run = new Set<number>()
  yield* Worker.make(Numbers, (number) => Effect.sync(() => run.add(number)), { concurrency: 4 })
  const acknowledged = (yield* Effect.filter(Array.from({ length: 300 }, (_, index) => index), put)).length
  yield* Console.log(`put ${acknowledged} jobs`)
  yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => run.size >= acknowledged })
  yield* Console.log(`all of them have run`)
}).pipe(Effect.scoped, Effect.provide(NodeCluster.layer({ urls: process.argv.slice(2) })))

NodeRuntime.runMain(main)
