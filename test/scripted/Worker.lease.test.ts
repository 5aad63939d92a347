/** How long a job is a worker's, what is done to keep it, and what happens when it is lost. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkError, Worker } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { answer, employ, give, heard, hire, now, statsOfJob, virtually } from "../support/playedWorkers.ts"
import type { Peer } from "../support/scripted.ts"
import { takes, type Told } from "../support/workers.ts"

const notFound = "NOT_FOUND\r\n"

const reply = { touched: "TOUCHED\r\n", failed: "INTERNAL_ERROR\r\n", deleted: "DELETED\r\n" } as const

/** Answers what is said about a job until it is deleted, and tells when what was said. */
const serve = (peer: Peer, id: number, stats: string) =>
  Effect.gen(function*() {
    const lines: Array<readonly [at: number, line: string]> = []
    const replies: Readonly<Record<string, string>> = {
      [`stats-job ${id}`]: stats,
      [`touch ${id}`]: reply.touched,
      [`delete ${id}`]: reply.deleted
    }
    for (;;) {
      const [at, line] = yield* heard(peer)
      lines.push([at, line])
      yield* peer.say(replies[line] ?? "")
      if (line === `delete ${id}`) return lines
    }
  })

/** When a job was lost, and what is told of it. */
const lossOf = ({ event }: Told) =>
  Effect.flatMap(event("LeaseLost"), ({ error }) => Effect.map(now, (at) => ({ at, error })))

describe("rule 13: what a worker asks about a job", () => {
  it(
    "is nothing if it is done in less than 300 ms: its delete and the next reserve are one write",
    virtually(Effect.gen(function*() {
      const { peer, event } = yield* employ(() => takes("299 millis"))
      yield* give(peer, 1)
      yield* answer(peer, "delete 1", reply.deleted)
      assert.match(peer.writes.at(-1) ?? "", /^delete 1\r\nreserve-with-timeout \d+\r\n$/)
      assert.strictEqual(yield* now, 299)
      yield* event("Completed")
    }))
  )

  it(
    "is asked once, when the handler has run for 300 ms",
    virtually(Effect.gen(function*() {
      const { peer } = yield* employ(() => takes("15 seconds"))
      yield* give(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsOfJob(1)), [[300, "stats-job 1"], [15_000, "delete 1"]])
    }))
  )

  it(
    "is asked at the first failure",
    virtually(Effect.gen(function*() {
      const { peer, event } = yield* employ(() => Effect.zipRight(takes(100), Effect.fail("no")))
      yield* give(peer, 1)
      assert.deepStrictEqual(yield* heard(peer), [100, "stats-job 1"])
      yield* peer.say(statsOfJob(1))
      assert.match((yield* heard(peer))[1], /^release 1 7 \d$/)
      yield* peer.say("RELEASED\r\n")
      assert.strictEqual((yield* event("Retried")).attempt, 1)
    }))
  )

  it(
    "is asked when the handler asks, and never again",
    virtually(Effect.gen(function*() {
      const seen: Array<number> = []
      const see = (job: Worker.Job) => Effect.map(job.stats, ({ attempt }) => seen.push(attempt))
      const { peer } = yield* employ((_, job) =>
        Effect.zipRight(Effect.all([see(job), see(job)], { concurrency: 2 }), Effect.zipRight(takes(1000), see(job)))
      )
      yield* give(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsOfJob(1, { releases: 2 })), [
        [0, "stats-job 1"],
        [1000, "delete 1"]
      ])
      assert.deepStrictEqual(seen, [3, 3, 3])
    }))
  )

  it(
    "is asked again if the answer was none",
    virtually(Effect.gen(function*() {
      const { peer } = yield* employ(() => takes("10 seconds"))
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", reply.failed)
      assert.strictEqual((yield* heard(peer))[1], "stats-job 1")
      assert.isBelow(yield* now, 2000)
    }))
  )
})

describe("rule 14: touches", () => {
  it(
    "come at a third of the time to run, each time",
    virtually(Effect.gen(function*() {
      const { peer } = yield* employ(() => takes("90 seconds"))
      yield* give(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsOfJob(1)), [
        [300, "stats-job 1"],
        [20_000, "touch 1"],
        [40_000, "touch 1"],
        [60_000, "touch 1"],
        [80_000, "touch 1"],
        [90_000, "delete 1"]
      ])
    }))
  )

  it.each([3, 60])(
    "may be refused twice, and the job is kept: of %d seconds",
    (ttr) =>
      virtually(Effect.gen(function*() {
        const { peer, events } = yield* employ(() => takes(ttr * 1500))
        yield* give(peer, 1)
        yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr }))
        yield* answer(peer, "touch 1", reply.failed)
        yield* answer(peer, "touch 1", reply.failed)
        // Were it so late that a slow answer could make it vain, it would not help.
        assert.isAtMost((yield* heard(peer))[0], ttr * 900)
        yield* peer.say(reply.touched)
        yield* serve(peer, 1, "")
        assert.deepStrictEqual(events, [])
      }))()
  )

  it.each([1, 2])(
    "come in time for a job that was put with a time to run of %d s",
    (ttr) =>
      virtually(Effect.gen(function*() {
        const { peer, events } = yield* employ(() => takes("5 seconds"))
        yield* give(peer, 1)
        const lines = yield* serve(peer, 1, statsOfJob(1, { ttr }))
        const touches = lines.slice(1).map(([at]) => at)
        assert.isAtMost(Math.max(...touches.map((at, i) => at - (touches[i - 1] ?? 0))), ttr * 500)
        assert.deepStrictEqual(events, [])
      }))()
  )

  it(
    "that are due within 100 ms go together, early",
    virtually(Effect.gen(function*() {
      const { peer, server } = yield* employ(() => takes("30 seconds"), { concurrency: 2 })
      yield* takes(10)
      yield* give(peer, 1)
      const other = yield* hire(server)
      yield* takes(70)
      yield* give(other, 2)
      const both = yield* Effect.all([serve(peer, 1, statsOfJob(1)), serve(other, 2, statsOfJob(2))], {
        concurrency: 2
      })
      const touches = both.flatMap((lines) => lines.filter(([, line]) => line.startsWith("touch")))
      assert.deepStrictEqual(touches, [[20_000, "touch 1"], [20_000, "touch 2"]])
    }))
  )

  it(
    "go on while the worker is shut down",
    virtually(Effect.gen(function*() {
      const { peer, worker } = yield* employ(() => takes("10 seconds"))
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr: 9 }))
      yield* Effect.fork(worker.shutdown)
      assert.deepStrictEqual((yield* serve(peer, 1, "")).slice(0, 3), [
        [3000, "touch 1"],
        [6000, "touch 1"],
        [9000, "touch 1"]
      ])
      assert.strictEqual((yield* worker.await).drained, 1)
    }))
  )

  it(
    "of the handler's own start the time anew",
    virtually(Effect.gen(function*() {
      const { peer } = yield* employ((_, job) =>
        takes("10 seconds").pipe(Effect.zipRight(job.touch), Effect.zipRight(takes("35 seconds")))
      )
      yield* give(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsOfJob(1)), [
        [300, "stats-job 1"],
        [10_000, "touch 1"],
        [30_000, "touch 1"],
        [45_000, "delete 1"]
      ])
    }))
  )
})

describe("rule 14: without heartbeat", () => {
  it(
    "a handler is interrupted a second before the time is up, and its job released by a command",
    virtually(Effect.gen(function*() {
      const { peer, event } = yield* employ(() => Effect.never, { heartbeat: false, retry: Schedule.forever })
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr: 5 }))
      assert.deepStrictEqual(yield* heard(peer), [4000, "release 1 7 1"])
      yield* peer.say("RELEASED\r\n")
      const { cause } = yield* event("Retried")
      assert.instanceOf(Option.getOrUndefined(Cause.failureOption(cause)), Cause.TimeoutException)
    }))
  )

  it(
    "what is done about a failure is not cut short by a time that was for the handler",
    virtually(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* employ(() => Effect.fail("no"), {
        heartbeat: false,
        retry: Schedule.stop,
        onExhausted: () => takes("4.5 seconds")
      })
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr: 5 }))
      assert.deepStrictEqual(yield* heard(peer), [4500, "delete 1"])
      yield* peer.say(reply.deleted)
      yield* atLeast(1)
      assert.deepStrictEqual(yield* tags, ["Discarded"])
    }))
  )
})

describe("rule 2: a lease ends", () => {
  /** A client whose server takes its time, and may. */
  const patient = { replyTimeout: "5 minutes" } as const

  it(
    "its time to run after the reserve, reckoned from when the server may have answered it",
    virtually(Effect.gen(function*() {
      const { peer, ...told } = yield* employ((_, job) => Effect.zipRight(job.stats, Effect.never), {}, patient)
      yield* give(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* takes("2 seconds")
      yield* peer.say(statsOfJob(1, { timeLeft: 57 }))
      yield* answer(peer, "touch 1", "")
      const { at, error } = yield* lossOf(told)
      // It was read with 57 s and a part of one left, two seconds ago at most.
      assert.isAtMost(at, 60_000)
      assert.isAtLeast(at, 57_000)
      assert.match(error.message, /time to run was over/)
      yield* peer.closed
    }))
  )

  it(
    "its time to run after the last touch was sent, however late that was answered",
    virtually(Effect.gen(function*() {
      const { peer, ...told } = yield* employ(() => Effect.never, {}, patient)
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1))
      yield* peer.expect("touch 1\r\n")
      yield* takes("30 seconds")
      yield* peer.say(reply.touched)
      // The next is due by then, and never answered.
      yield* peer.expect("touch 1\r\n")
      // A little earlier: whoever is woken may be late.
      assert.closeTo((yield* lossOf(told)).at, 80_000, 2)
    }))
  )

  it(
    "not before, because an answer to something else took long",
    virtually(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* employ(() => takes("9 seconds"), {}, patient)
      yield* give(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* takes("8 seconds")
      yield* peer.say(statsOfJob(1, { timeLeft: 58 }))
      yield* answer(peer, "delete 1", reply.deleted)
      yield* give(peer, 2)
      yield* answer(peer, "stats-job 2", statsOfJob(2, { ttr: 6, timeLeft: 5 }))
      yield* serve(peer, 2, "")
      yield* atLeast(2)
      assert.deepStrictEqual(yield* tags, ["Completed", "Completed"])
    }))
  )
})

describe("rule 15: a lease is lost", () => {
  const bothWays = ["interrupt", "continue"] as const

  /** A handler that tells how it ended, after 100 s. */
  const watched = Effect.map(Deferred.make<string>(), (ended) => ({
    ended: Deferred.await(ended),
    handler: Effect.onExit(
      takes("100 seconds"),
      (exit) => Effect.flatMap(now, (at) => Deferred.succeed(ended, `${exit._tag} at ${at}`))
    )
  }))

  it.each(bothWays)(
    "when a touch finds nothing, and the connection goes on: %s",
    (onLeaseLost) =>
      virtually(Effect.gen(function*() {
        const { ended, handler } = yield* watched
        const { peer, ...told } = yield* employ(() => handler, { onLeaseLost })
        yield* give(peer, 1)
        yield* answer(peer, "stats-job 1", statsOfJob(1))
        yield* answer(peer, "touch 1", notFound)
        const { at, error } = yield* lossOf(told)
        assert.strictEqual(at, 20_000)
        assert.deepStrictEqual([error._tag, error.id, error.tube], ["LeaseLost", "1", "t"])
        if (onLeaseLost === "interrupt") {
          assert.strictEqual(yield* ended, "Failure at 20000")
        } else {
          assert.strictEqual(yield* ended, "Success at 100000")
          yield* answer(peer, "delete 1", notFound)
        }
        yield* give(peer, 2)
        assert.deepStrictEqual(yield* told.tags, ["LeaseLost"])
      }))()
  )

  it.each([
    { line: "release 1 7 1", order: new Worker.RetryAfter({ delay: "1 second" }) },
    { line: "bury 1 7", order: new Worker.Bury() }
  ])(
    "when it is to be dealt with and nothing is found: $line",
    ({ line, order }) =>
      virtually(Effect.gen(function*() {
        const { peer, ...told } = yield* employ(() => Effect.fail(order))
        yield* give(peer, 1)
        yield* answer(peer, "stats-job 1", statsOfJob(1))
        yield* answer(peer, line, notFound)
        const { error } = yield* lossOf(told)
        assert.instanceOf(error.cause, BeanstalkError.JobNotFound)
        assert.deepStrictEqual(yield* told.tags, ["LeaseLost"])
        // Whether it may still be ours is not known for sure: closing gives it back.
        yield* Effect.raceFirst(peer.closed, give(peer, 2))
      }))()
  )

  it.each(bothWays)(
    "when the connection is: %s",
    (onLeaseLost) =>
      virtually(Effect.gen(function*() {
        const { ended, handler } = yield* watched
        const { peer, server, ...told } = yield* employ(() => handler, { onLeaseLost })
        yield* give(peer, 1)
        yield* takes("1 second")
        yield* peer.reset
        const { at, error } = yield* lossOf(told)
        assert.strictEqual(at, 1000)
        assert.include(error.message, "ECONNRESET")
        assert.strictEqual(
          yield* ended,
          onLeaseLost === "interrupt" ? "Failure at 1000" : "Success at 100000"
        )
        const next = yield* hire(server)
        if (onLeaseLost === "continue") yield* answer(next, "delete 1", notFound)
        yield* give(next, 2)
        assert.deepStrictEqual(yield* told.tags, ["LeaseLost"])
      }))()
  )

  it(
    "and whoever races against it hears of it, before and after",
    virtually(Effect.gen(function*() {
      const heardOf = yield* Deferred.make<readonly [string, string, string]>()
      const { peer } = yield* employ((_, job) =>
        Effect.uninterruptible(Effect.gen(function*() {
          const racing = yield* Effect.flip(job.leaseLost)
          const later = yield* Effect.flip(job.leaseLost)
          const touching = yield* Effect.flip(job.touch)
          yield* Deferred.succeed(heardOf, [racing._tag, later._tag, touching._tag])
        }))
      )
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1))
      yield* answer(peer, "touch 1", notFound)
      assert.deepStrictEqual(yield* Deferred.await(heardOf), ["LeaseLost", "LeaseLost", "LeaseLost"])
    }))
  )

  it(
    "not by an answer that comes behind the last word on it",
    virtually(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* employ((_, job) =>
        Effect.zipRight(
          job.stats,
          Effect.forkDaemon(Effect.forever(job.touch)).pipe(
            Effect.zipRight(Effect.yieldNow()),
            Effect.zipRight(new Worker.Bury())
          )
        )
      )
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr: 3 }))
      yield* answer(peer, "touch 1\r\nbury 1 7", reply.touched)
      // Long enough for another touch to be due, and to find nothing behind a bury that was slow.
      yield* takes("2 seconds")
      const touches = (yield* peer.rest).split("\r\n").length - 1
      yield* peer.say(`BURIED\r\n${notFound.repeat(touches)}`)
      yield* atLeast(1)
      assert.deepStrictEqual(yield* tags, ["Buried"])
    }))
  )
})

describe("rule 16: a handler that takes too long", () => {
  it(
    "is interrupted, and its job treated as a failure",
    virtually(Effect.gen(function*() {
      const { peer, event } = yield* employ(() => Effect.never, {
        timeout: "10 seconds",
        retry: Schedule.spaced("5 seconds")
      })
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1))
      assert.deepStrictEqual(yield* heard(peer), [10_000, "release 1 7 5"])
      yield* peer.say("RELEASED\r\n")
      const { cause } = yield* event("Retried")
      assert.instanceOf(Option.getOrUndefined(Cause.failureOption(cause)), Cause.TimeoutException)
    }))
  )

  it(
    "and cannot be interrupted keeps its job until it ends",
    virtually(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* employ(
        () => Effect.zipRight(Effect.uninterruptible(takes("70 seconds")), Effect.fail("no")),
        { timeout: "10 seconds", retry: Schedule.forever }
      )
      yield* give(peer, 1)
      yield* answer(peer, "stats-job 1", statsOfJob(1))
      for (const at of [20_000, 40_000, 60_000]) {
        assert.deepStrictEqual(yield* heard(peer), [at, "touch 1"])
        yield* peer.say(reply.touched)
      }
      assert.deepStrictEqual(yield* heard(peer), [70_000, "release 1 7 1"])
      yield* peer.say("RELEASED\r\n")
      yield* atLeast(1)
      assert.deepStrictEqual(yield* tags, ["Retried"])
    }))
  )
})
