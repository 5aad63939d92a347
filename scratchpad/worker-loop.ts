/** A worker from Stream and Schedule: failed jobs are released with a growing delay, and buried after the fifth attempt. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect, Schedule, Stream } from "effect"
import { BeanstalkConnection, type Job } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"

const handle = (text: string) => text === "impossible" ? Effect.fail("impossible" as const) : Console.log(`did ${text}`)

const work = Effect.gen(function*() {
  const beanstalk = yield* BeanstalkConnection.make({ watch: ["work"] })

  const process = (job: Job.ReservedJob) =>
    job.text().pipe(
      Effect.flatMap(handle),
      Effect.matchEffect({
        onSuccess: () => beanstalk.delete(job.id),
        onFailure: () => retryLater(job)
      })
    )

  const retryLater = (job: Job.ReservedJob) =>
    Effect.gen(function*() {
      const { pri: priority, releases } = yield* beanstalk.statsJob(job.id)
      if (releases >= 4) return yield* beanstalk.bury(job.id, priority)
      yield* beanstalk.release(job.id, { priority, delay: Duration.seconds(2 ** releases) })
    })

  yield* Stream.repeatEffect(beanstalk.reserveWithTimeout("1 second")).pipe(Stream.runForEach(process))
}).pipe(
  Effect.scoped,
  Effect.catchTag("TimedOut", () => Console.log("nothing to do")),
  // A connection does not reconnect: another one is opened, with growing delays. The jobs are still in the server.
  Effect.retry({
    while: (error) => error._tag === "ConnectFailed" || error._tag === "ConnectionLost",
    schedule: Schedule.exponential("50 millis").pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(10)))
  })
)

NodeRuntime.runMain(Effect.provide(work, NodeConnector.layerEnv))
