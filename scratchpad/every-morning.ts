/**
 * A producer that puts a job every morning, and a worker that runs it. A week, simulated: `npx tsx scratchpad/every-morning.ts`
 *
 * beanstalkd has no unique jobs: two such producers put two jobs each morning. Run this in one process only, or let the handler
 * check whether the report of that day exists already.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Cron, Effect, Schedule, Schema, Stream } from "effect"
import { BeanstalkClient, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"

const Reports = Tube.make("reports", { payload: Schema.Struct({ day: Schema.DateFromString }) })

const putToday = Effect.flatMap(Clock.currentTimeMillis, (now) => Reports.put({ day: new Date(now) })).pipe(
  // ConnectFailed: nothing was put. After ConnectionLost, the job may have been put: that is not tried again.
  Effect.retry({ while: (error) => error._tag === "ConnectFailed", schedule: Schedule.spaced("1 minute") })
)

/** At six in the morning, from Monday to Friday. */
const producer = Effect.schedule(putToday, Schedule.cron(Cron.unsafeParse("0 6 * * 1-5", "UTC")))

const program = Effect.gen(function*() {
  const worker = yield* Worker.make(Reports, ({ day }) => Console.log(`report of ${day.toUTCString()}`), {
    // A reserve every 30 seconds would take more real time than the rest of the simulated week.
    reserveSlice: "1 hour"
  })
  yield* Effect.fork(producer)
  yield* Stream.runDrain(Stream.take(worker.events, 5))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program.pipe(
  Effect.provide(BeanstalkClient.layer()),
  Effect.provide(EmbeddedServer.layer()),
  Effect.provide(VirtualClock.layer({ startsAt: Date.UTC(2026, 0, 2, 12) }))
))
