/**
 * An export is downloaded when it is ready, and asked for once a minute until then. "Not yet" is no failure, and spends no attempt:
 * the job is put anew. A failure of the handler itself is retried as usual.
 *
 *     npx tsx scratchpad/not-yet.ts          simulated, without a beanstalkd
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Duration, Effect, Logger, LogLevel, Schedule, Schema } from "effect"
import { Tube, Worker, WorkerTest } from "effect-beanstalk"

const Export = Schema.Struct({ id: Schema.String, until: Schema.Date })

const Exports = Tube.make("exports", { payload: Export, ttr: "1 minute" })

/** Whether the other system has finished an export. In this simulation "invoices" takes 45 minutes, and "archive" never ends. */
const isReady = (id: string) =>
  Effect.map(DateTime.now, (now) => id === "invoices" && DateTime.toEpochMillis(now) >= Duration.toMillis("45 minutes"))

/** Its job is put anew before this one is deleted: an export may be asked for twice, but is not forgotten. */
const download = (payload: typeof Export.Type, job: Worker.Job) =>
  Effect.gen(function*() {
    if (yield* isReady(payload.id)) return yield* Console.log(`downloaded ${payload.id}`)
    if ((yield* DateTime.nowAsDate) > payload.until) {
      return yield* new Worker.Bury({ reason: "it was not ready in time" })
    }
    const { priority } = yield* job.stats
    yield* Exports.put(payload, { delay: "1 minute", priority })
  })

const program = Effect.gen(function*() {
  const started = yield* DateTime.now
  const until = DateTime.toDateUtc(DateTime.add(started, { hours: 2 }))
  yield* Exports.put({ id: "invoices", until })
  yield* Exports.put({ id: "archive", until })
  const events = yield* WorkerTest.drain(Exports, download, { retry: Schedule.recurs(2) })
  const count = (tag: Worker.Event["_tag"]) => events.filter(({ _tag }) => _tag === tag).length
  yield* Console.log(`${count("Completed")} completed, ${count("Retried")} retried, ${count("Buried")} buried`)
})

const main = Effect.provide(program, WorkerTest.layerVirtual())

NodeRuntime.runMain(Logger.withMinimumLogLevel(main, LogLevel.Error))
