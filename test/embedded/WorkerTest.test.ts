/** `WorkerTest`: what it runs, returns, and fails with. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, Tube, Worker, WorkerTest } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { failsWith } from "../support/connections.ts"

const Mails = Tube.make("mails", {
  payload: Schema.Struct({ to: Schema.String, at: Schema.optional(Schema.Date) }),
  priority: 100,
  ttr: "20 seconds"
})

const mail = { to: "kim@example.org" }

const tagsOf = (events: ReadonlyArray<Worker.Event>) => events.map(({ _tag }) => _tag)

const hourly = (times: number) => Schedule.intersect(Schedule.spaced("1 hour"), Schedule.recurs(times))

const inVirtualTime = Effect.provide(WorkerTest.layerVirtual())

describe("runOnce", () => {
  it.effect("succeeds, fails and dies as the handler does", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* WorkerTest.runOnce((n: number) => Effect.succeed(n + 1), 1), 2)
      const order = yield* failsWith(
        WorkerTest.runOnce(() => new Worker.RetryAfter({ delay: "1 hour" }), 1),
        "RetryAfter"
      )
      assert.strictEqual(order.delay, "1 hour")
      const exit = yield* Effect.exit(WorkerTest.runOnce(() => Effect.die("bug"), 1))
      assert.deepStrictEqual(exit, Exit.die("bug"))
    }))

  it.effect("annotates the log lines of the handler with tube and job, as a worker does", () =>
    Effect.gen(function*() {
      const annotations = Effect.map(FiberRef.get(FiberRef.currentLogAnnotations), HashMap.toEntries)
      for (const onLeaseLost of ["interrupt", "continue"] as const) {
        const entries = yield* WorkerTest.runOnce(() => annotations, "", { tube: Tube.text("mails"), onLeaseLost })
        assert.deepStrictEqual(Object.fromEntries(entries), { tube: "mails", job: "1" })
      }
    }))

  it.effect("gives the handler the payload as it is encoded and decoded by the tube", () =>
    Effect.gen(function*() {
      const at = new Date(0)
      const Loose = Tube.make("loose", { payload: Schema.Struct({ at: Schema.Date, note: Schema.Unknown }) })
      const received = yield* WorkerTest.runOnce(Effect.succeed, { at, note: { a: undefined } }, { tube: Loose })
      assert.deepStrictEqual(received, { at, note: {} })
      assert.notStrictEqual(received.at, at)
      const map = { at, note: new Map([[1, 2]]) }
      const { issues } = yield* failsWith(WorkerTest.runOnce(Effect.succeed, map, { tube: Loose }), "PayloadError")
      assert.deepStrictEqual(issues, [{ path: ".note", expected: "JSON" }])
    }))

  it.effect("fails with PayloadError on a payload that the tube cannot encode, and does not run the handler", () =>
    Effect.gen(function*() {
      let runs = 0
      const handler = () => Effect.sync(() => runs += 1)
      const Small = Tube.make("small", { payload: Schema.Struct({ size: Schema.Int.pipe(Schema.lessThan(10)) }) })
      const error = yield* failsWith(WorkerTest.runOnce(handler, { size: 10 }, { tube: Small }), "PayloadError")
      assert.strictEqual(error.direction, "encode")
      assert.strictEqual(runs, 0)
    }))

  it.effect("makes the stats of the job from the options and the defaults of the tube", () =>
    Effect.gen(function*() {
      const read = (_: unknown, job: Worker.Job) =>
        Effect.map(job.stats, ({ job: all, ...stats }) => ({
          ...stats,
          tube: job.tube,
          counted: [all.reserves, all.releases]
        }))
      assert.deepStrictEqual<unknown>(yield* WorkerTest.runOnce(read, 1), {
        attempt: 1,
        failures: 0,
        disconnects: 0,
        age: 0,
        priority: 1024,
        ttr: 60,
        tube: "default",
        counted: [1, 0]
      })
      const stats = yield* WorkerTest.runOnce(read, mail, { tube: Mails, attempt: 3, disconnects: 2, age: "1 hour" })
      assert.deepStrictEqual<unknown>(stats, {
        attempt: 3,
        failures: 2,
        disconnects: 2,
        age: 3600,
        priority: 100,
        ttr: 20,
        tube: "mails",
        counted: [5, 2]
      })
      const { priority, ttr } = yield* WorkerTest.runOnce(read, mail, {
        tube: Mails,
        priority: 1,
        ttr: "3 seconds"
      })
      assert.deepStrictEqual([priority, ttr], [1, 3])
    }))

  it.effect("the job can be touched until the handler has ended", () =>
    Effect.gen(function*() {
      const job = yield* WorkerTest.runOnce((_, job) => Effect.as(job.touch, job), mail, { tube: Mails })
      yield* failsWith(job.touch, "LeaseLost")
      yield* failsWith(job.stats, "LeaseLost")
    }))

  it.effect("a handler is interrupted when the lease of its job is lost, and touch fails with LeaseLost", () =>
    Effect.gen(function*() {
      const errors: Array<string> = []
      const run = yield* Effect.fork(WorkerTest.runOnce(
        (_, job) =>
          Effect.never.pipe(
            Effect.onInterrupt(() => Effect.catchAll(job.touch, ({ _tag }) => Effect.sync(() => errors.push(_tag))))
          ),
        1,
        { lostWhen: Effect.sleep("1 minute") }
      ))
      yield* TestClock.adjust("1 minute")
      yield* failsWith(Fiber.join(run), "LeaseLost")
      assert.deepStrictEqual(errors, ["LeaseLost"])
    }))

  it.effect("with onLeaseLost: continue, touch and leaseLost fail, and the handler runs to its end", () =>
    Effect.gen(function*() {
      const lost = yield* Deferred.make<void>()
      const handler = (_: number, job: Worker.Job) =>
        Effect.flip(job.leaseLost).pipe(
          Effect.zip(Effect.flip(job.touch)),
          Effect.map((errors) => errors.map(({ _tag }) => _tag))
        )
      const run = yield* Effect.fork(
        WorkerTest.runOnce(handler, 1, { lostWhen: Deferred.await(lost), onLeaseLost: "continue" })
      )
      yield* Deferred.succeed(lost, undefined)
      assert.deepStrictEqual(yield* Fiber.join(run), ["LeaseLost", "LeaseLost"])
    }))

  it.effect("the handler's scope is closed when it ends", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const note = (line: string) => Effect.sync(() => log.push(line))
      yield* WorkerTest.runOnce(() => Effect.zipRight(Effect.addFinalizer(() => note("closed")), note("ran")), 1)
      assert.deepStrictEqual(log, ["ran", "closed"])
    }))

  it.effect("dies when an option is invalid", () =>
    Effect.gen(function*() {
      for (const options of [{ attempt: 0 }, { ttr: 60 }, { age: 60 }]) {
        const exit = yield* Effect.exit(WorkerTest.runOnce(Effect.succeed, 1, options))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      }
    }))
})

describe("drain", () => {
  it.effect("runs a worker until the tube is empty, and succeeds with the events", () =>
    Effect.gen(function*() {
      const began = yield* Clock.currentTimeMillis
      yield* Mails.put({ to: "now" })
      yield* Mails.put({ to: "later" }, { delay: "8 hours" })
      const sent: Array<readonly [string, number]> = []
      const events = yield* WorkerTest.drain(
        Mails,
        ({ to }) => Effect.map(Clock.currentTimeMillis, (now) => sent.push([to, now - began]))
      )
      assert.deepStrictEqual(tagsOf(events), ["Completed", "Completed"])
      assert.deepStrictEqual(sent, [["now", 0], ["later", Duration.toMillis("8 hours")]])
      assert.deepStrictEqual(yield* WorkerTest.jobsIn(Mails), [])
    }).pipe(inVirtualTime))

  it.effect("returns an event for each retry, and leaves buried jobs in the tube", () =>
    Effect.gen(function*() {
      yield* Mails.put(mail)
      const events = yield* WorkerTest.drain(Mails, () => Effect.fail("refused"), { retry: hourly(3) })
      assert.deepStrictEqual(tagsOf(events), ["Retried", "Retried", "Retried", "Buried"])
      const states = (yield* WorkerTest.jobsIn(Mails)).map(({ state }) => state)
      assert.deepStrictEqual(states, ["buried"])
      assert.deepStrictEqual(yield* WorkerTest.drain(Mails, () => Effect.void), [])
      yield* Mails.kick(1)
      assert.deepStrictEqual(tagsOf(yield* WorkerTest.drain(Mails, () => Effect.void)), ["Completed"])
    }).pipe(inVirtualTime))

  it.effect("ends at once when no job was ever put into the tube", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* WorkerTest.drain(Mails, () => Effect.void), [])
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    }).pipe(inVirtualTime))

  it.effect("runs the jobs that handlers put into the tube", () =>
    Effect.gen(function*() {
      yield* Mails.put({ to: "3" })
      const events = yield* WorkerTest.drain(Mails, ({ to }) =>
        to === "0" ? Effect.void : Mails.put({ to: `${Number(to) - 1}` }, { delay: "1 minute" }))
      assert.deepStrictEqual(
        tagsOf(events),
        Array.from({ length: 4 }, () =>
          "Completed")
      )
    }).pipe(inVirtualTime))

  it.effect("runs a new job of a tube that was empty before", () =>
    Effect.gen(function*() {
      for (const to of ["first", "second"]) {
        const id = yield* Mails.put({ to })
        const events = yield* WorkerTest.drain(Mails, () => Effect.sleep("1 minute"))
        assert.deepStrictEqual(events, [Worker.Event.Completed({ tube: Mails.name, id })])
      }
      assert.deepStrictEqual(yield* WorkerTest.drain(Mails, () => Effect.void), [])
    }).pipe(inVirtualTime))

  it.effect("does not run, or wait for, the jobs of other tubes", () =>
    Effect.gen(function*() {
      const Letters = Tube.text("letters")
      yield* Letters.put("slow", { delay: "365 days" })
      yield* Mails.put(mail)
      assert.deepStrictEqual(tagsOf(yield* WorkerTest.drain(Mails, () => Effect.void)), ["Completed"])
      assert.strictEqual((yield* WorkerTest.jobsIn(Letters)).length, 1)
    }).pipe(inVirtualTime))

  it.effect("runs as many jobs at a time as concurrency says", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(Array.from({ length: 40 }), () => Mails.put(mail), { concurrency: "unbounded" })
      const events = yield* WorkerTest.drain(Mails, () => Effect.sleep("1 minute"), { concurrency: 10 })
      assert.strictEqual(events.length, 40)
      assert.strictEqual(yield* Clock.currentTimeMillis, Duration.toMillis("4 minutes"))
    }).pipe(inVirtualTime))

  it.effect("fails with NotDrained, which lists the jobs that are left, when the time is over", () =>
    Effect.gen(function*() {
      yield* Mails.put(mail)
      yield* Mails.put({ to: "never" })
      yield* Mails.put({ to: "next year" }, { delay: "365 days" })
      const error = yield* failsWith(
        WorkerTest.drain(
          Mails,
          ({ to }) => to === "never" ? Effect.never : Effect.fail("refused"),
          { concurrency: 2, retry: Schedule.spaced("10 minutes"), within: "59 minutes" }
        ),
        "NotDrained"
      )
      assert.strictEqual(
        error.message,
        "Tube mails was not empty after 59m: job 1 is delayed, after 6 retries, " +
          "job 2 is reserved, after 0 retries, job 3 is delayed, after 0 retries."
      )
      assert.strictEqual(yield* Clock.currentTimeMillis, Duration.toMillis("59 minutes"))
      // The handler that does not end is interrupted at once, and its job is given back.
      assert.deepStrictEqual((yield* WorkerTest.jobsIn(Mails)).map(({ state }) => state), [
        "delayed",
        "ready",
        "delayed"
      ])
    }).pipe(inVirtualTime))

  it.effect("NotDrained lists the first ten of many jobs", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(Array.from({ length: 13 }), () => Mails.put(mail, { delay: "2 days" }))
      const error = yield* failsWith(WorkerTest.drain(Mails, () => Effect.void), "NotDrained")
      assert.include(error.message, "after 1d: job 1 is delayed")
      assert.match(error.message, /, job 10 is delayed, after 0 retries, and 3 more\.$/)
    }).pipe(inVirtualTime))

  it.effect("continues when the connection is lost", () =>
    Effect.gen(function*() {
      const { inject } = yield* EmbeddedServer.EmbeddedServer
      yield* Mails.put(mail)
      let runs = 0
      const events = yield* WorkerTest.drain(Mails, () =>
        Effect.suspend(() =>
          (runs += 1) === 1 ? Effect.zipRight(inject(EmbeddedServer.Fault.Cut()), Effect.never) : Effect.void
        ))
      assert.deepStrictEqual(tagsOf(events), ["LeaseLost", "Completed"])
    }).pipe(inVirtualTime))

  it.effect("advances a TestClock by itself", () =>
    Effect.gen(function*() {
      yield* Mails.put(mail, { delay: "1 hour" })
      const events = yield* WorkerTest.drain(Mails, (_, job) =>
        Effect.sleep("1 minute").pipe(
          Effect.zipRight(job.stats),
          Effect.flatMap(({ attempt }) => attempt < 3 ? Effect.fail("refused") : Effect.void)
        ), { retry: hourly(5) })
      assert.deepStrictEqual(tagsOf(events), ["Retried", "Retried", "Completed"])
      assert.isAtLeast(yield* Clock.currentTimeMillis, Duration.toMillis("183 minutes"))
    }).pipe(Effect.provide(WorkerTest.layer())))

  it.live("runs on the real Clock", () =>
    Effect.gen(function*() {
      yield* Mails.put(mail)
      const events = yield* WorkerTest.drain(Mails, () => Effect.void)
      assert.deepStrictEqual(tagsOf(events), ["Completed"])
    }).pipe(Effect.provide(WorkerTest.layer())))

  it.effect("fails with WorkerStartError when an option is invalid", () =>
    Effect.gen(function*() {
      const error = yield* failsWith(
        WorkerTest.drain(Mails, () => Effect.void, { concurrency: 0 }),
        "WorkerStartError"
      )
      assert.strictEqual(error.subject, "concurrency")
    }).pipe(inVirtualTime))
})

describe("jobsIn", () => {
  it.effect("returns each job of the tube with its payload, state, priority, delay and ttr", () =>
    Effect.gen(function*() {
      yield* Mails.put(mail, { delay: "1 hour" })
      yield* Tube.text("letters").put("dear")
      yield* Mails.put({ to: "lee@example.org", at: new Date(0) }, { priority: 7, ttr: "1 minute" })
      assert.deepStrictEqual<unknown>(yield* WorkerTest.jobsIn(Mails), [
        { id: "1", payload: mail, state: "delayed", priority: 100, delay: 3600, ttr: 20 },
        { id: "3", payload: { to: "lee@example.org", at: new Date(0) }, state: "ready", priority: 7, delay: 0, ttr: 60 }
      ])
    }).pipe(Effect.provide(WorkerTest.layer())))

  it.effect("fails on a body that does not decode", () =>
    Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      const id = yield* client.put(Mails.name, "{}")
      assert.strictEqual((yield* failsWith(WorkerTest.jobsIn(Mails), "PayloadError")).id, id)
    }).pipe(Effect.provide(WorkerTest.layer())))
})

describe("make and awaitEvent", () => {
  it.scoped("the events of make begin with the first, whenever they are run", () =>
    Effect.gen(function*() {
      const id = yield* Mails.put(mail)
      const worker = yield* WorkerTest.make(Mails, () => Effect.void)
      const completed = Worker.Event.Completed({ tube: Mails.name, id })
      assert.deepStrictEqual(yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Completed")), completed)
      assert.deepStrictEqual(yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Completed")), completed)
      const report = yield* worker.shutdown
      assert.deepStrictEqual(
        yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("ShutdownReport")),
        Worker.Event.ShutdownReport(report)
      )
    }).pipe(inVirtualTime))

  it.scoped("awaitEvent waits for the first event that matches", () =>
    Effect.gen(function*() {
      const worker = yield* WorkerTest.make(Mails, ({ to }) => to === "" ? new Worker.Bury() : Effect.void)
      const waiting = yield* Effect.fork(WorkerTest.awaitEvent(worker, Worker.Event.$is("Buried")))
      yield* Mails.put(mail)
      const id = yield* Mails.put({ to: "" })
      assert.strictEqual((yield* Fiber.join(waiting)).id, id)
    }).pipe(inVirtualTime))

  it.scoped("awaitEvent succeeds with a later event of a worker of Worker.make", () =>
    Effect.gen(function*() {
      const worker = yield* Worker.make(Mails, () => Effect.void)
      const waiting = yield* Effect.fork(WorkerTest.awaitEvent(worker, () => true))
      yield* Mails.put(mail)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Completed")
    }).pipe(inVirtualTime))

  it.scoped("awaitEvent fails with the events that were emitted when the worker is closed first", () =>
    Effect.gen(function*() {
      const worker = yield* WorkerTest.make(Mails, () => Effect.void)
      yield* Mails.put(mail)
      yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Completed"))
      yield* worker.shutdown
      const error = yield* failsWith(WorkerTest.awaitEvent(worker, Worker.Event.$is("Buried")), "EventNotEmitted")
      assert.strictEqual(
        error.message,
        "The worker of tube mails was closed without emitting the event. It emitted: Completed of job 1, ShutdownReport."
      )
    }).pipe(inVirtualTime))
})

describe("layerVirtual", () => {
  it.effect("starts its Clock at startsAt", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Clock.currentTimeMillis, 1000)
      yield* Mails.put(mail, { delay: "1 second" })
      yield* WorkerTest.drain(Mails, () => Effect.void)
      assert.strictEqual(yield* Clock.currentTimeMillis, 2000)
    }).pipe(Effect.provide(WorkerTest.layerVirtual({ startsAt: 1000 }))))
})
