/** The log lines of a worker and of its handlers: their levels, what they tell, and their annotations. */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkClient, type BeanstalkError, type EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { inVirtualTime, jobEvents, start } from "../support/workers.ts"

class Refused extends Data.TaggedError("Refused") {}

interface Line {
  readonly level: string
  readonly message: string
  readonly cause: Cause.Cause<unknown>
  readonly annotations: Readonly<Record<string, unknown>>
}

const tube = Tube.text("work", { ttr: "1 minute" })

const own = { package: "effect-beanstalk", module: "Worker", tube: "work" }

/** Runs a test in virtual time, and succeeds with the log lines that are at least at the level. */
const logged = <A, E>(
  test: Effect.Effect<A, E, BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Scope.Scope>,
  minimum: LogLevel.LogLevel = LogLevel.Info
): Effect.Effect<ReadonlyArray<Line>, E | BeanstalkError.InvalidArgument> => {
  const lines: Array<Line> = []
  const logger = Logger.make(({ annotations, cause, logLevel, message }) => {
    lines.push({
      level: logLevel.label,
      message: [message].flat().join(" "),
      cause,
      annotations: Object.fromEntries(HashMap.toEntries(annotations))
    })
  })
  return inVirtualTime(test).pipe(
    Effect.provide(Logger.add(logger)),
    Logger.withMinimumLogLevel(minimum),
    Effect.as(lines)
  )
}

const told = (lines: ReadonlyArray<Line>) => lines.map(({ level, message }) => `${level} ${message}`)

/** The lines about jobs. */
const aboutJobs = (lines: ReadonlyArray<Line>) => lines.filter(({ annotations }) => "job" in annotations)

describe("rule 32: the log of a worker", () => {
  it.live("rule 32: tells at Info that it is connected, once, however many connections it has", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { event } = yield* start(tube, () => Effect.sleep("1 second"), { concurrency: 4 })
        yield* Stream.runDrain(tube.putAll(Stream.make("a", "b", "c", "d")))
        yield* event("Completed", 4)
        assert.deepStrictEqual((yield* tube.stats).currentWatching, 4)
      }))
      const starts = lines.filter(({ message }) => message.includes("takes jobs"))
      assert.deepStrictEqual(told(starts), [
        "INFO The worker of tube work takes jobs from beanstalkd at memory, up to 4 at a time."
      ])
      assert.deepStrictEqual(starts[0]?.annotations, own)
    }))

  it.live("rule 32: tells a failed attempt at Warning for the first of a job, and at Info after that", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { event } = yield* start(tube, () => new Refused())
        yield* tube.put("a")
        yield* event("Retried", 3)
      }))
      const failures = aboutJobs(lines)
      assert.deepStrictEqual(told(failures), [
        "WARN Job 1 of tube work failed in attempt 1 of 21 and is run again in 1s.",
        "INFO Job 1 of tube work failed in attempt 2 of 21 and is run again in 3s.",
        "INFO Job 1 of tube work failed in attempt 3 of 21 and is run again in 5s."
      ])
      assert.deepStrictEqual(failures.map(({ annotations }) => annotations), [
        { ...own, job: "1", attempt: 1 },
        { ...own, job: "1", attempt: 2 },
        { ...own, job: "1", attempt: 3 }
      ])
      for (const { cause } of failures) assert.deepStrictEqual(cause, Cause.fail(new Refused()))
    }))

  const once = { retry: Schedule.recurs(1) }

  const ends: ReadonlyArray<
    readonly [
      what: string,
      handler: Effect.Effect<never, Refused | Worker.Order>,
      options: Worker.Options<string, Refused>,
      line: string
    ]
  > = [
    [
      "buried",
      new Refused(),
      once,
      "WARN Job 1 of tube work failed in attempt 2 and is buried. Fix the cause, then kick the job."
    ],
    [
      "deleted",
      new Refused(),
      { ...once, onExhausted: "delete" },
      "INFO Job 1 of tube work failed in attempt 2 and is deleted, since onExhausted is \"delete\"."
    ],
    [
      "handed to onExhausted",
      new Refused(),
      { ...once, onExhausted: () => Effect.void },
      "INFO Job 1 of tube work failed in attempt 2, was handed to onExhausted, and is deleted."
    ],
    [
      "buried by its handler",
      new Worker.Bury({ reason: "no such user" }),
      once,
      "WARN Job 1 of tube work is buried, as its handler asked in attempt 1: no such user. Fix the cause, then kick the job."
    ],
    [
      "deleted by its handler",
      new Worker.Discard(),
      once,
      "INFO Job 1 of tube work is deleted, as its handler asked in attempt 1."
    ],
    [
      "buried because its handler died",
      Effect.die("a bug"),
      once,
      "WARN Job 1 of tube work died in attempt 1 and is buried. Fix the cause, then kick the job."
    ]
  ]

  it.live.each(ends)("rule 32: tells that a job is %s", ([, handler, options, line]) =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { atLeast } = yield* start(tube, () => handler, options)
        yield* tube.put("a")
        yield* Effect.flatMap(atLeast(1), ([first]) => first?._tag === "Retried" ? atLeast(2) : Effect.void)
      }))
      assert.strictEqual(told(aboutJobs(lines)).at(-1), line)
    }))

  it.live("rule 32: tells that a handler asked for another run at Info, also in the first attempt", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { event } = yield* start(tube, () => new Worker.RetryAfter({ delay: "1 minute", reason: "not\u001byet" }))
        yield* tube.put("a")
        yield* event("Retried")
      }))
      assert.deepStrictEqual(told(aboutJobs(lines)), [
        "INFO Job 1 of tube work is run again in 1m, as its handler asked in attempt 1: not\\u001byet."
      ])
    }))

  it.live("rule 32: annotates what goes wrong in onExhausted with the job and the attempt too", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { event } = yield* start(tube, () => new Refused(), {
          retry: Schedule.stop,
          onExhausted: () => Effect.fail("no")
        })
        yield* tube.put("a")
        yield* event("Buried")
      }))
      const line = lines.find(({ level }) => level === "ERROR")
      assert.deepStrictEqual(line?.annotations, { ...own, job: "1", attempt: 1 })
    }))

  it.live("rule 32: tells at Info when its shutdown begins, with what it waits for, and what it did", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { worker } = yield* start(
          tube,
          (seconds) => Effect.sleep(`${Number(seconds)} seconds`),
          { concurrency: 4, shutdownTimeout: "8 seconds" }
        )
        yield* Stream.runDrain(tube.putAll(Stream.make("5", "6", "100")))
        yield* Effect.sleep("1 second")
        yield* worker.shutdown
      }))
      const [, shutdown, job, end, ...others] = lines
      assert.deepStrictEqual(told([shutdown!, job!, end!]), [
        "INFO The worker of tube work is shut down. It waits for 3 handlers, at most 8s.",
        "INFO Job 3 of tube work is interrupted by the shutdown and given back.",
        "INFO The worker of tube work is closed after 8s: 2 jobs ended, 1 job interrupted and given back."
      ])
      assert.deepStrictEqual(shutdown?.annotations, own)
      assert.deepStrictEqual(job?.annotations, { ...own, job: "3" })
      assert.deepStrictEqual(others, [])
    }))

  it.live("rule 32: tells at Info that an idle worker is shut down and closed", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { worker } = yield* start(tube, () => Effect.void)
        yield* Effect.sleep("1 second")
        yield* worker.shutdown
      }))
      assert.deepStrictEqual(told(lines.slice(1)), [
        "INFO The worker of tube work is shut down. No handler runs.",
        "INFO The worker of tube work is closed after 0ms."
      ])
    }))

  it.live("rule 32: has its package, module and tube in every line, at every level", () =>
    Effect.gen(function*() {
      const lines = yield* logged(
        Effect.gen(function*() {
          const { event, worker } = yield* start(tube, () => new Refused(), { retry: Schedule.recurs(1) })
          yield* Effect.forkScoped(Stream.runDrain(Worker.jobs(Tube.text("other"))))
          yield* tube.put("a")
          yield* event("Buried")
          yield* worker.shutdown
        }),
        LogLevel.All
      )
      // Effect itself logs at Debug how each fiber ends.
      const ours = lines.filter(({ message }) => !message.startsWith("Fiber terminated"))
      const ofWorkers = ours.filter(({ annotations }) => annotations["module"] !== "BeanstalkConnection")
      assert.isAtLeast(ofWorkers.length, 6)
      for (const { annotations, message } of ofWorkers) {
        assert.include(["Worker", "BeanstalkClient"], annotations["module"], message)
        assert.strictEqual(annotations["package"], "effect-beanstalk", message)
        if (annotations["module"] === "Worker") assert.include(["work", "other"], annotations["tube"], message)
      }
    }))
})

describe("rule 32: the log lines of a handler", () => {
  it.live("rule 32: have its tube and its job, and the program's annotations, but not those of this library", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { event } = yield* Effect.annotateLogs(
          start(
            tube,
            (body) =>
              Effect.zipRight(
                Effect.log(body),
                Effect.flatMap(Effect.fork(Effect.log(`child of ${body}`)), Fiber.join)
              ),
            { gate: Effect.log("gate") }
          ),
          { service: "mailer" }
        )
        yield* Stream.runDrain(tube.putAll(Stream.make("a", "b")))
        yield* event("Completed", 2)
      }))
      const ofProgram = lines.filter(({ annotations }) => !("package" in annotations) && "service" in annotations)
      const annotationsOf = (text: string) => ofProgram.find(({ message }) => message === text)?.annotations
      assert.deepStrictEqual(annotationsOf("a"), { service: "mailer", tube: "work", job: "1" })
      assert.deepStrictEqual(annotationsOf("child of b"), { service: "mailer", tube: "work", job: "2" })
      assert.deepStrictEqual(annotationsOf("gate"), { service: "mailer", tube: "work" })
    }))

  it.live("rule 32: have the attempt where the server was asked for it: with maxDisconnects, and in onExhausted", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const { event } = yield* start(tube, () => Effect.zipRight(Effect.log("handler"), new Refused()), {
          maxDisconnects: 10,
          retry: Schedule.recurs(1).pipe(Schedule.tapInput(() => Effect.log("retry"))),
          onExhausted: () => Effect.log("exhausted")
        })
        yield* tube.put("a")
        yield* event("Discarded")
      }))
      const ofProgram = lines.filter(({ annotations }) => !("package" in annotations))
      assert.deepStrictEqual(
        ofProgram.map(({ annotations: { attempt }, message }) => `${message} ${attempt}`),
        ["handler 1", "retry 1", "handler 2", "retry 2", "exhausted 2"]
      )
    }))

  it.live("rule 32: ask the server for nothing", () =>
    inVirtualTime(Effect.gen(function*() {
      const annotations: Array<unknown> = []
      const { event } = yield* start(tube, () =>
        Effect.map(FiberRef.get(FiberRef.currentLogAnnotations), (found) => {
          annotations.push(Object.fromEntries(HashMap.toEntries(found)))
        }))
      const id = yield* tube.put("a")
      yield* event("Completed")
      assert.deepStrictEqual(annotations, [{ tube: "work", job: "1" }])
      assert.deepStrictEqual(yield* jobEvents(id), ["put", "reserved", "deleted"])
    })))
})
