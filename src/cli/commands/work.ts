/** `beanstalk work` */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { BeanstalkClient } from "../../BeanstalkClient.ts"
import * as Tube from "../../Tube.ts"
import * as Worker from "../../Worker.ts"
import { type ChildEnded, findProgram, runChild } from "../child.ts"
import { lastingClient } from "../server/connect.ts"
import { namedOrMatching } from "../server/tubes.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { counted } from "../terminal/text.ts"
import { tubes } from "../tubeArguments.ts"
import { duration } from "../values/duration.ts"
import { count, positiveCount } from "../values/number.ts"
import { text } from "../values/text.ts"

const parameters = {
  tubes,
  command: Argument.rest(text("CMD"), { summary: "the program that runs for each job, and its arguments" }),
  concurrency: Flag.withDefault("concurrency", positiveCount, {
    short: "c",
    default: "1",
    summary: "how many programs run at a time, for all tubes together"
  }),
  retries: Flag.withDefault("retries", count, {
    default: "20",
    summary: "how often a job that failed runs again, after 1s, 2s, 4s, … up to 1h, before it is buried"
  }),
  drain: Flag.withDefault("drain", duration, {
    default: "25s",
    summary: "how long programs may go on after Ctrl-C or SIGTERM, before they are sent SIGTERM"
  }),
  killAfter: Flag.withDefault("kill-after", duration, {
    default: "2s",
    summary: "how long after SIGTERM a program is killed"
  })
}

/** Of a program whose job will never succeed: `EX_DATAERR` of sysexits.h. */
const buryCode = 65

/** A program ended with another code than 0, or by a signal. */
class ProgramFailed extends Data.TaggedError("ProgramFailed")<{ readonly message: string }> {}

export const command = Command.make({
  name: "work",
  summary: "Run a program for each job",
  details: [
    "The program has the body on standard input, and BEANSTALK_JOB_ID, BEANSTALK_TUBE and BEANSTALK_ATTEMPT in its environment. " +
    "If it ends with 0 the job is deleted, with 65 it is buried, and with any other code, or by a signal, it runs again later.",
    "While the program runs, its job is touched. If the job is lost all the same, the program is sent SIGTERM. Ctrl-C and SIGTERM " +
    "let programs end; a second one kills them. SIGKILL leaves them running, and their jobs go to other workers. A job may run twice: " +
    "make programs idempotent.",
    "Of several tubes one job of each may be reserved, and touched, while it waits until a program may run."
  ],
  servers: "together",
  parameters,
  examples: [
    { run: "work emails -c 4 -- ./send-mail.sh", does: "four mails at a time" },
    { run: `work emails -- sh -c 'jq -r .to | xargs ./remind.sh'`, does: "a pipeline for each job" }
  ],
  run: Effect.gen(function*() {
    const { command, concurrency, drain, killAfter, retries, tubes } = yield* Effect.all(parameters)
    const { note } = yield* Output
    // No job is to fail because the program is not there.
    yield* findProgram(command[0] ?? "")
    const client = yield* lastingClient

    const running = yield* Effect.makeSemaphore(concurrency)
    const handle = (body: Uint8Array, job: Worker.Job) =>
      Effect.gen(function*() {
        const { attempt } = yield* job.stats
        const env = {
          BEANSTALK_JOB_ID: job.id,
          BEANSTALK_TUBE: job.tube,
          BEANSTALK_ATTEMPT: `${attempt}`
        }
        yield* decide(yield* runChild({ command, env, input: body, killAfter }))
      }).pipe(running.withPermits(1))

    const report = yield* reporter
    yield* Effect.addFinalizer(() => Effect.flatMap(report.summary, note))
    const reporting = yield* FiberSet.make()
    // The workers close first, and emit events until then.
    yield* Effect.addFinalizer(() => FiberSet.awaitEmpty(reporting))
    for (const tube of yield* namedOrMatching(client, tubes)) {
      const worker = yield* Worker.make(Tube.bytes(tube), handle, {
        concurrency,
        // A job that comes while no more may run is held. So none is asked for then.
        gate: running.withPermits(1)(Effect.void),
        retry: retrySchedule(retries),
        shutdownTimeout: drain
      }).pipe(Effect.provideService(BeanstalkClient, client))
      yield* FiberSet.run(reporting, Stream.runForEach(worker.events, report.event))
    }
    yield* Effect.onInterrupt(
      Effect.never,
      () => note("Takes no more jobs, and lets the programs that run end. A second signal kills them.")
    )
  })
})

const decide = ({ code, signal }: ChildEnded): Effect.Effect<void, ProgramFailed | Worker.Bury> => {
  if (code === 0) return Effect.void
  if (code === buryCode) return new Worker.Bury({ reason: `the program ended with ${buryCode}` })
  return new ProgramFailed({
    message: code === null ? `the program was ended by ${signal}` : `the program ended with ${code}`
  })
}

const retrySchedule = (retries: number) =>
  Schedule.exponential("1 second").pipe(
    Schedule.jittered,
    Schedule.union(Schedule.spaced("1 hour")),
    Schedule.intersect(Schedule.recurs(retries))
  )

/** Says which jobs are buried, and counts the others. */
const reporter = Effect.map(Output, ({ note, printable }) => {
  const counts = { done: 0, failed: 0, buried: 0, lost: 0 }
  const event = (event: Worker.Event): Effect.Effect<void> => {
    switch (event._tag) {
      case "Completed":
        counts.done += 1
        return Effect.void
      case "Retried":
        counts.failed += 1
        return Effect.void
      case "Buried": {
        counts.failed += 1
        counts.buried += 1
        const reason = Option.match(Cause.failureOption(event.cause), {
          onNone: () => "",
          onSome: (error) => error instanceof Error ? `: ${error.message}` : ""
        })
        return note(
          `beanstalk: job ${event.id} of ${printable(event.tube)} is buried after ${
            counted(event.attempt, "attempt")
          }${reason}.`
        )
      }
      case "LeaseLost":
        counts.lost += 1
        return note(
          `beanstalk: job ${event.id} of ${printable(event.tube)} was lost while it ran: ${event.error.message}`
        )
      default:
        return Effect.void
    }
  }
  const summary = Effect.sync(() =>
    `${counted(counts.done, "job")} done, ${counted(counts.failed, "failure")}, ${counts.buried} buried, ` +
    `${counts.lost} lost.`
  )
  return { event, summary }
})
