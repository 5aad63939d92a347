/** What becomes of a job whose handler failed, died, took too long, or did not run. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, BeanstalkError, EmbeddedServer, type Job, Tube, Worker } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { awaitJobEvent, inVirtualTime, jobEvents, journalEntries, start } from "../support/workers.ts"

class Refused extends Data.TaggedError("Refused")<{ readonly by?: string }> {}

const tube = Tube.make("work", { payload: Schema.Struct({ name: Schema.String }), priority: 7, ttr: "1 minute" })

/** How long a job was delayed after each run, in seconds. */
const delaysOf = (id: Job.JobId) =>
  Effect.map(journalEntries(id), (entries) => {
    const times = (tag: EmbeddedServer.JobEvent) => entries.filter(({ event }) => event === tag).map(({ at }) => at)
    const due = times("due")
    return times("released").map((at, run) => ((due[run] ?? Number.NaN) - at) / 1000)
  })

const failure = new Refused({})

describe("rule 18: a job that failed", () => {
  it.live("rule 18: is released with the delays of the Schedule and its own priority, and buried when the Schedule is done", () =>
    inVirtualTime(Effect.gen(function*() {
      const attempts: Array<readonly [attempt: number, priority: number]> = []
      const { event, events } = yield* start(tube, (_, job) =>
        Effect.flatMap(job.stats, ({ attempt, priority }) => {
          attempts.push([attempt, priority])
          return failure
        }), { retry: Schedule.exponential("3 seconds").pipe(Schedule.intersect(Schedule.recurs(3))) })
      const id = yield* tube.put({ name: "a" }, { priority: 99 })
      const buried = yield* event("Buried")
      assert.deepStrictEqual(attempts, [[1, 99], [2, 99], [3, 99], [4, 99]])
      assert.deepStrictEqual(yield* delaysOf(id), [3, 6, 12])
      assert.deepStrictEqual(
        buried,
        Worker.Event.Buried({ tube: tube.name, id, attempt: 4, cause: Cause.fail(failure) })
      )
      assert.deepStrictEqual(
        events.slice(0, -1),
        [3, 6, 12].map((seconds, run) =>
          Worker.Event.Retried({
            tube: tube.name,
            id,
            attempt: run + 1,
            cause: Cause.fail(failure),
            delay: Duration.seconds(seconds)
          })
        )
      )
    })))

  it.live("rule 18: is delayed by at least one second, and by whole seconds, rounded up", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure, {
        retry: Schedule.fromDelays("0 millis", "1 millis", "1001 millis")
      })
      const id = yield* tube.put({ name: "a" })
      yield* event("Buried")
      assert.deepStrictEqual(yield* delaysOf(id), [1, 1, 2])
    })))

  it.live("rule 18: by default is retried twenty times, with exponential delays of up to an hour", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure)
      const id = yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 21)
      const delays = yield* delaysOf(id)
      assert.strictEqual(delays.length, 20)
      delays.forEach((delay, run) => {
        assert.isAtLeast(delay, Math.min(3600, Math.max(1, 0.8 * 2 ** run)))
        assert.isAtMost(delay, Math.min(3600, Math.ceil(1.2 * 2 ** run)))
      })
    })))

  it.live("rule 18: by default outlives an hour in which its handler always fails, whenever that begins", () =>
    inVirtualTime(Effect.gen(function*() {
      let isDown = true
      const { event } = yield* start(tube, () => isDown ? failure : Effect.void, { concurrency: 100 })
      yield* Stream.runDrain(tube.putAll(Stream.repeatValue({ name: "a" }).pipe(Stream.take(100))))
      yield* Effect.sleep("1 hour")
      isDown = false
      yield* event("Completed", 100)
      assert.isBelow(yield* Clock.currentTimeMillis, Duration.toMillis("2 hours"))
    })))

  it.live("rule 18: is retried by the Schedule that has its latest failure as input", () =>
    inVirtualTime(Effect.gen(function*() {
      let run = 0
      const { event } = yield* start(tube, () => new Refused({ by: (run += 1) === 3 ? "policy" : "load" }), {
        retry: Schedule.spaced("1 second").pipe(
          Schedule.whileInput((failure: Worker.Failure<Refused>) => failure._tag === "Refused" && failure.by === "load")
        )
      })
      yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 3)
    })))

  it.live("rule 18: is retried when a promise of its handler rejects", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(
        tube,
        () => Effect.tryPromise(() => Promise.reject(new Error("refused"))),
        { retry: Schedule.recurs(2) }
      )
      yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 3)
    })))

  it.live("rule 18: has one run when it was buried and is kicked, and is buried again", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure, { retry: Schedule.recurs(1) })
      const id = yield* tube.put({ name: "a" })
      yield* event("Buried")
      yield* tube.kick(1)
      yield* event("Buried", 2)
      assert.deepStrictEqual((yield* jobEvents(id)).slice(-4), ["buried", "kicked", "reserved", "buried"])
    })))

  it.live("rule 18: is deleted when the Schedule is done, with onExhausted: delete", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure, { retry: Schedule.stop, onExhausted: "delete" })
      const id = yield* tube.put({ name: "a" })
      const discarded = yield* event("Discarded")
      assert.strictEqual(discarded.attempt, 1)
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
    })))

  it.live("rule 18: is given to the onExhausted Effect when the Schedule is done, and deleted after it", () =>
    inVirtualTime(Effect.gen(function*() {
      const exhausted: Array<Worker.Exhausted<{ readonly name: string }, Refused>> = []
      const histories: Array<ReadonlyArray<string>> = []
      const server = yield* EmbeddedServer.EmbeddedServer
      const { event } = yield* start(tube, () => failure, {
        retry: Schedule.recurs(1),
        onExhausted: (job) =>
          Effect.map(server.journal, (entries) => {
            exhausted.push(job)
            histories.push(entries.map(({ event }) => event))
          })
      })
      const id = yield* tube.put({ name: "a" })
      yield* event("Discarded")
      assert.deepStrictEqual(exhausted, [
        { tube: tube.name, id, attempt: 2, payload: { name: "a" }, cause: Cause.fail(failure) }
      ])
      assert.strictEqual(histories[0]?.at(-1), "reserved")
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
    })))

  it.live.each(
    [
      ["fails", Effect.fail("no")],
      ["dies", Effect.die("no")],
      ["interrupts itself", Effect.interrupt],
      ["interrupts a part of itself", Effect.all([Effect.fail("no"), Effect.never], { concurrency: 2 })]
    ] as const
  )(
    "rule 18: is buried if the onExhausted Effect %s",
    ([, onExhausted]) =>
      inVirtualTime(Effect.gen(function*() {
        const { event } = yield* start(tube, () => failure, { retry: Schedule.stop, onExhausted: () => onExhausted })
        const id = yield* tube.put({ name: "a" })
        yield* event("Buried")
        assert.strictEqual((yield* jobEvents(id)).at(-1), "buried")
      }))
  )

  it.live("rule 18: is touched while the onExhausted Effect runs", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure, {
        retry: Schedule.stop,
        onExhausted: () => Effect.delay(Effect.void, "5 minutes"),
        timeout: "10 minutes"
      })
      const id = yield* tube.put({ name: "a" })
      yield* event("Discarded")
      assert.notInclude(yield* jobEvents(id), "timed-out")
    })))

  it.live.each([["1 second", 60], ["2 minutes", 120]] as const)(
    "rule 18: is buried when onExhausted or the Schedule does not end within a minute, or within a timeout of %s",
    ([timeout, seconds]) =>
      Effect.forEach([
        { retry: Schedule.stop, onExhausted: () => Effect.never },
        { retry: Schedule.forever.pipe(Schedule.tapOutput(() => Effect.never)) }
      ], (policy) =>
        inVirtualTime(Effect.gen(function*() {
          const { event } = yield* start(tube, () => failure, { ...policy, timeout })
          const id = yield* tube.put({ name: "a" })
          const { cause } = yield* event("Buried")
          assert.deepStrictEqual(Cause.failureOption(cause), Option.some(failure))
          const at = yield* Effect.map(journalEntries(id), (entries) => entries.at(-1)!.at)
          assert.approximately(at / 1000, seconds, 1)
        })))
  )

  it.live("rule 18: is logged, and its lane is freed by a shutdown, when onExhausted cannot be interrupted", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* inVirtualTime(Effect.gen(function*() {
        const { worker } = yield* start(tube, () => failure, {
          retry: Schedule.stop,
          onExhausted: () => Effect.uninterruptible(Effect.never)
        })
        yield* tube.put({ name: "a" })
        yield* Effect.sleep("2 minutes")
        const { orphaned } = yield* worker.shutdown
        assert.lengthOf(orphaned, 1)
      })).pipe(Effect.provide(Logger.add(logger)))
      assert.isTrue(lines.some((line) => line.includes("onExhausted")), lines.join("\n"))
    }))

  it.live("rule 18: is buried if the Schedule throws", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure, {
        retry: Schedule.forever.pipe(Schedule.map(() => {
          throw new Error("a bug")
        }))
      })
      const id = yield* tube.put({ name: "a" })
      yield* event("Buried")
      assert.strictEqual((yield* jobEvents(id)).at(-1), "buried")
    })))
})

describe("rule 19: a handler that fails with Bury, Discard or RetryAfter", () => {
  it.live("rule 19: Bury buries the job, whatever the Schedule says", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => new Worker.Bury({ reason: "no such user" }), {
        retry: Schedule.forever,
        onExhausted: "delete"
      })
      const id = yield* tube.put({ name: "a" })
      const buried = yield* event("Buried")
      assert.deepStrictEqual(buried.cause, Cause.fail(new Worker.Bury({ reason: "no such user" })))
      assert.strictEqual((yield* jobEvents(id)).at(-1), "buried")
    })))

  it.live("rule 19: Discard deletes the job, whatever the Schedule says", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => new Worker.Discard(), { retry: Schedule.forever })
      const id = yield* tube.put({ name: "a" })
      yield* event("Discarded")
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
    })))

  it.live.each(
    [["90 seconds", 90], ["1500 millis", 2], ["0 millis", 1], [Number.NaN, 1], ["infinity", 2 ** 32 - 1]] as const
  )(
    "rule 19: RetryAfter releases the job: with a delay of %s",
    ([delay, seconds]) =>
      inVirtualTime(Effect.gen(function*() {
        const { event } = yield* start(
          tube,
          () => new Worker.RetryAfter({ delay: delay === "infinity" ? Duration.infinity : delay }),
          { retry: Schedule.stop }
        )
        yield* tube.put({ name: "a" })
        assert.strictEqual(Duration.toSeconds((yield* event("Retried")).delay), seconds)
      }))
  )

  it.live("rule 19: RetryAfter with a number of seconds, which would be milliseconds, is a defect of the handler", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => Effect.suspend(() => new Worker.RetryAfter({ delay: 60 })))
      yield* tube.put({ name: "a" })
      const { cause } = yield* event("Buried")
      const defect = Option.getOrThrow(Cause.dieOption(cause))
      assert.instanceOf(defect, BeanstalkError.InvalidArgument)
      assert.include(Cause.pretty(cause), "Worker.RetryAfter: delay must have a unit")
    })))

  it.live("rule 19: RetryAfter counts as an attempt", () =>
    inVirtualTime(Effect.gen(function*() {
      let run = 0
      const { event } = yield* start(
        tube,
        () => (run += 1) === 1 ? new Worker.RetryAfter({ delay: "1 hour" }) : failure,
        { retry: Schedule.recurs(1) }
      )
      yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 2)
    })))
})

describe("rule 19: a handler that dies", () => {
  const dies = [
    ["dies", Effect.die("a bug")],
    [
      "throws",
      Effect.sync(() => {
        throw new Error("a bug")
      })
    ],
    ["interrupts itself", Effect.interrupt]
  ] as const

  it.live.each(dies)("rule 19: has its job buried if it %s", ([, handler]) =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => handler, { retry: Schedule.forever })
      const id = yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 1)
      assert.strictEqual((yield* jobEvents(id)).at(-1), "buried")
    })))

  it.live("rule 19: has its job buried if it throws instead of returning an Effect", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, (): Effect.Effect<void> => {
        throw new Error("a bug")
      })
      yield* tube.put({ name: "a" })
      yield* event("Buried")
    })))

  it.live("rule 19: has its job buried if a finalizer of its scope dies", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => Effect.addFinalizer(() => Effect.die("a bug")))
      yield* tube.put({ name: "a" })
      yield* event("Buried")
    })))

  it.live("rule 19: is run again when the Schedule says, with onDefect: retry", () =>
    inVirtualTime(Effect.gen(function*() {
      const seen: Array<unknown> = []
      const { event } = yield* start(tube, () => Effect.die("a bug"), {
        onDefect: "retry",
        retry: Schedule.recurs(2).pipe(Schedule.tapInput((failure) => Effect.sync(() => seen.push(failure))))
      })
      yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 3)
      for (const failure of seen) {
        assert.instanceOf(failure, Cause.UnknownException)
        assert.strictEqual(failure.error, "a bug")
      }
      assert.isNotEmpty(seen)
    })))
})

describe("rule 16: a handler that takes too long", () => {
  it.live("rule 16: is interrupted, which is a failure", () =>
    inVirtualTime(Effect.gen(function*() {
      const interrupted: Array<string> = []
      const { event } = yield* start(
        tube,
        () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push("here"))),
        { timeout: "90 seconds", retry: Schedule.recurs(1) }
      )
      const id = yield* tube.put({ name: "a" })
      const buried = yield* event("Buried")
      assert.deepStrictEqual(interrupted, ["here", "here"])
      assert.strictEqual(buried.attempt, 2)
      assert.instanceOf(Option.getOrThrow(Cause.failureOption(buried.cause)), Cause.TimeoutException)
      const entries = yield* journalEntries(id)
      const at = (tag: EmbeddedServer.JobEvent) => entries.filter(({ event }) => event === tag).map(({ at }) => at)
      assert.strictEqual((at("released")[0] ?? 0) - (at("reserved")[0] ?? 0), 90_000)
    })))

  it.live("rule 16: keeps its job until it ends if it cannot be interrupted", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(
        tube,
        () => Effect.uninterruptible(Effect.delay(Effect.void, "5 minutes")),
        { timeout: "1 second", retry: Schedule.stop }
      )
      const id = yield* tube.put({ name: "a" })
      const buried = yield* event("Buried")
      assert.instanceOf(Option.getOrThrow(Cause.failureOption(buried.cause)), Cause.TimeoutException)
      const [reserved, touched] = (yield* journalEntries(id)).filter(({ event }) => event !== "put")
      assert.strictEqual(touched?.event, "touched")
      const last = (yield* journalEntries(id)).at(-1)
      assert.strictEqual(last?.event, "buried")
      assert.strictEqual((last?.at ?? 0) - (reserved?.at ?? 0), 300_000)
    })))

  it.live("rule 16: is interrupted in time although the server is asked for stats-job before it runs", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const { event } = yield* start(tube, () => Effect.never, {
        timeout: "1 second",
        maxDisconnects: 10,
        retry: Schedule.stop
      })
      yield* server.inject(EmbeddedServer.Fault.Delay({ duration: "2 seconds" }))
      yield* tube.put({ name: "a" })
      const buried = yield* event("Buried")
      assert.instanceOf(Option.getOrThrow(Cause.failureOption(buried.cause)), Cause.TimeoutException)
    })))
})

describe("rule 12: a body that does not decode", () => {
  const secret = "hunter2"
  const unreadable = Tube.text(tube.name, { priority: 7 })

  it.live("rule 12: is buried without being run, with an event that has no part of the body", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event, events } = yield* start(tube, () => Effect.dieMessage("the handler must not run"))
      const body = `{"name":{"${secret}":"${secret}"}}`
      const id = yield* unreadable.put(body)
      const undecodable = yield* event("Undecodable")
      assert.deepInclude(undecodable, { id, tube: tube.name, size: body.length, action: "bury" })
      assert.deepStrictEqual(undecodable.error.issues.map(({ path }) => path), [".name"])
      assert.notInclude(JSON.stringify(undecodable) + String(undecodable.error), secret)
      const { pri, state } = yield* Effect.flatMap(BeanstalkClient.BeanstalkClient, (client) => client.statsJob(id))
      assert.deepStrictEqual({ pri, state }, { pri: 7, state: "buried" })
      assert.strictEqual(events.length, 1)
    })))

  it.live("rule 12: is deleted, with onUndecodable: delete", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => Effect.dieMessage("the handler must not run"), {
        onUndecodable: "delete"
      })
      const id = yield* unreadable.put("not JSON")
      assert.strictEqual((yield* event("Undecodable")).action, "delete")
      assert.strictEqual((yield* jobEvents(id)).at(-1), "deleted")
    })))

  it.live("rule 12: is released seldom, with delays from ten minutes to a day, with onUndecodable: release", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => Effect.dieMessage("the handler must not run"), {
        onUndecodable: "release",
        reserveSlice: "1 day"
      })
      const id = yield* unreadable.put("not JSON")
      yield* event("Undecodable", 11)
      assert.deepStrictEqual(
        (yield* delaysOf(id)).slice(0, 10).map((seconds) => seconds / 60),
        [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
      )
    })))

  it.live("rule 12: that is buried and kicked spends no attempt of a newer worker, and each release spends one", () =>
    inVirtualTime(Effect.gen(function*() {
      const attempts = (onUndecodable: "bury" | "release") =>
        Effect.gen(function*() {
          const old = yield* start(tube, () => Effect.dieMessage("the handler must not run"), { onUndecodable })
          const id = yield* unreadable.put("not JSON")
          yield* old.event("Undecodable")
          yield* old.worker.shutdown
          const client = yield* BeanstalkClient.BeanstalkClient
          yield* client.kickJob(id)
          const seen = yield* Deferred.make<number, BeanstalkError.LeaseLost | BeanstalkError.ServerError>()
          const newer = yield* start(unreadable, (_, job) =>
            Effect.intoDeferred(Effect.map(job.stats, ({ attempt }) => attempt), seen))
          yield* newer.event("Completed")
          yield* newer.worker.shutdown
          return yield* Deferred.await(seen)
        })
      assert.deepStrictEqual([yield* attempts("bury"), yield* attempts("release")], [1, 2])
    })))

  it.live("rule 12: is followed by the next job", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => Effect.void)
      yield* unreadable.put("not JSON")
      const id = yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Completed")).id, id)
    })))
})

describe("rule 26: the arguments of a handler", () => {
  it.live("rule 26: are the payload and the job", () =>
    inVirtualTime(Effect.gen(function*() {
      const seen: Array<unknown> = []
      const { event } = yield* start(tube, (payload, job) => Effect.sync(() => seen.push(payload, job.id, job.tube)))
      const id = yield* tube.put({ name: "a" })
      yield* event("Completed")
      assert.deepStrictEqual(seen, [{ name: "a" }, id, tube.name])
    })))

  it.live("rule 26: job.stats has the counters of the server, which is asked once", () =>
    inVirtualTime(Effect.gen(function*() {
      const seen: Array<Worker.RunStats> = []
      const server = yield* EmbeddedServer.EmbeddedServer
      const { event } = yield* start(tube, (_, job) =>
        Effect.gen(function*() {
          const stats = yield* Effect.all([job.stats, job.stats], { concurrency: 2 })
          yield* server.inject(EmbeddedServer.Fault.Silence())
          seen.push(...stats, yield* job.stats)
          yield* server.heal
          return yield* seen.length === 3 ? failure : Effect.void
        }), { retry: Schedule.spaced("10 seconds") })
      yield* tube.put({ name: "a" }, { ttr: "50 seconds", delay: "5 seconds" })
      yield* event("Completed")
      assert.strictEqual(seen.length, 6)
      const [first, , , second] = seen
      assert.deepInclude(first, { attempt: 1, failures: 0, disconnects: 0, age: 5, priority: 7, ttr: 50 })
      assert.deepInclude(second, { attempt: 2, failures: 1, disconnects: 0, age: 15, priority: 7, ttr: 50 })
    })))

  it.live("rule 26: job.touch touches the job", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, (_, job) => job.touch)
      const id = yield* tube.put({ name: "a" })
      yield* event("Completed")
      assert.include(yield* jobEvents(id), "touched")
    })))

  it.live("rule 26: stats, touch and leaseLost fail with LeaseLost once the handler has ended", () =>
    inVirtualTime(Effect.gen(function*() {
      const jobs: Array<Worker.Job> = []
      const { event } = yield* start(tube, (_, job) => Effect.sync(() => jobs.push(job)))
      yield* tube.put({ name: "a" })
      yield* event("Completed")
      for (const { leaseLost, stats, touch } of jobs) {
        assert.strictEqual((yield* Effect.flip(touch))._tag, "LeaseLost")
        assert.strictEqual((yield* Effect.flip(stats))._tag, "LeaseLost")
        assert.strictEqual((yield* Effect.flip(leaseLost))._tag, "LeaseLost")
      }
      assert.strictEqual(jobs.length, 1)
    })))

  it.live("rule 26: job.leaseLost fails when the lease is lost, so that a side effect can be raced against it", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const reasons: Array<string> = []
      const { event } = yield* start(tube, (_, job) =>
        Effect.raceFirst(Effect.never, job.leaseLost).pipe(
          Effect.catchTag("LeaseLost", ({ reason }) => Effect.sync(() => reasons.push(reason)))
        ), { onLeaseLost: "continue" })
      const id = yield* tube.put({ name: "a" })
      yield* awaitJobEvent(id, "reserved")
      yield* server.inject(EmbeddedServer.Fault.Cut())
      const lost = yield* event("LeaseLost")
      assert.strictEqual(lost.id, id)
      yield* awaitJobEvent(id, "deleted")
      assert.deepStrictEqual(reasons, [lost.error.reason])
    })))
})

describe("rule 20: a job that kills its workers", () => {
  it.live("rule 20: is buried without being run after maxDisconnects lost connections", () =>
    inVirtualTime(Effect.gen(function*() {
      const server = yield* EmbeddedServer.EmbeddedServer
      const disconnects: Array<number> = []
      const { event, events } = yield* start(tube, (_, job) =>
        Effect.gen(function*() {
          disconnects.push((yield* job.stats).disconnects)
          yield* server.inject(EmbeddedServer.Fault.Cut())
          return yield* Effect.never
        }), { maxDisconnects: 3 })
      const id = yield* tube.put({ name: "a" })
      const crashLoop = yield* event("CrashLoop")
      assert.deepStrictEqual(disconnects, [0, 1, 2])
      assert.deepStrictEqual(crashLoop, Worker.Event.CrashLoop({ tube: tube.name, id, disconnects: 3 }))
      assert.strictEqual((yield* jobEvents(id)).at(-1), "buried")
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["LeaseLost", "LeaseLost", "LeaseLost", "CrashLoop"])
      assert.strictEqual((yield* tube.stats).currentJobsBuried, 1)
      const entries = yield* journalEntries(id)
      assert.strictEqual(entries.filter(({ event }) => event === "reserved").length, 4)
    })))

  it.live("rule 20: is not a job that fails: releases do not count", () =>
    inVirtualTime(Effect.gen(function*() {
      const { event } = yield* start(tube, () => failure, { maxDisconnects: 1, retry: Schedule.recurs(4) })
      yield* tube.put({ name: "a" })
      assert.strictEqual((yield* event("Buried")).attempt, 5)
    })))
})
