/** Seven hours of back-off and a cut connection, simulated in a moment, without a beanstalkd. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect, Schedule } from "effect"
import { BeanstalkConnection, EmbeddedServer, VirtualClock } from "effect-beanstalk"

/** Runs one job, which fails three times, and is released with a delay that doubles each time. */
const workOnce = Effect.gen(function*() {
  const beanstalk = yield* BeanstalkConnection.make({ watch: ["mails"] })
  const job = yield* beanstalk.reserve
  const { pri: priority, releases } = yield* beanstalk.statsJob(job.id)
  if (releases === 3) return yield* beanstalk.delete(job.id)
  yield* beanstalk.release(job.id, { priority, delay: Duration.hours(2 ** releases) })
}).pipe(Effect.scoped)

const worker = workOnce.pipe(
  // The server cannot always be reached. A job is ready again when the connection that reserved it is lost.
  Effect.retry({
    while: (error) => error._tag === "ConnectionLost" || error._tag === "ConnectFailed",
    schedule: Schedule.spaced("10 seconds")
  }),
  Effect.repeatN(3)
)

const program = Effect.gen(function*() {
  const server = yield* EmbeddedServer.EmbeddedServer
  const producer = yield* BeanstalkConnection.make({ tube: "mails" })
  yield* producer.put("hello")

  // At the end of the third hour, connections are refused for five minutes.
  const outage = Effect.gen(function*() {
    yield* server.inject(EmbeddedServer.Fault.Cut())
    yield* server.inject(EmbeddedServer.Fault.Refuse())
    yield* Effect.delay(server.heal, "5 minutes")
  })
  yield* Effect.fork(Effect.delay(outage, "179 minutes"))

  yield* worker
  for (const { at, event, id } of yield* server.journal) {
    yield* Console.log(`${Duration.format(Duration.millis(at))}: job ${id} ${event}`)
  }
}).pipe(Effect.scoped)

NodeRuntime.runMain(program.pipe(
  Effect.provide(EmbeddedServer.layer()),
  // Outside all other layers, so that all of them use its Clock.
  Effect.provide(VirtualClock.layer())
))
