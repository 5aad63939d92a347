/** The lease of a job: how long it lasts, when it is touched, and what happens when it is lost. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkError, Worker } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Peer } from "../support/scripted.ts"
import {
  acceptLane,
  expectAndReply,
  giveJob,
  nextLine,
  now,
  startWorker,
  statsJobReply,
  virtualTest
} from "../support/scriptedWorkers.ts"
import { type CollectedEvents } from "../support/workers.ts"

const notFound = "NOT_FOUND\r\n"

const reply = { touched: "TOUCHED\r\n", failed: "INTERNAL_ERROR\r\n", deleted: "DELETED\r\n" } as const

/** Replies to the commands about a job until it is deleted. Returns the commands, with the time in front of each. */
const serve = (peer: Peer, id: number, stats: string) =>
  Effect.gen(function*() {
    const lines: Array<readonly [at: number, line: string]> = []
    const replies: Readonly<Record<string, string>> = {
      [`stats-job ${id}`]: stats,
      [`touch ${id}`]: reply.touched,
      [`delete ${id}`]: reply.deleted
    }
    for (;;) {
      const [at, line] = yield* nextLine(peer)
      lines.push([at, line])
      yield* peer.say(replies[line] ?? "")
      if (line === `delete ${id}`) return lines
    }
  })

/** Waits until a lease is lost. Returns when, and the error. */
const lossOf = ({ event }: CollectedEvents) =>
  Effect.flatMap(event("LeaseLost"), ({ error }) => Effect.map(now, (at) => ({ at, error })))

describe("rule 13: the stats-job of a worker", () => {
  it(
    "is not sent for a job that ends within 300 ms: its delete and the next reserve are one write",
    virtualTest(Effect.gen(function*() {
      const { peer, event } = yield* startWorker(() => Effect.sleep("299 millis"))
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "delete 1", reply.deleted)
      assert.match(peer.writes.at(-1) ?? "", /^delete 1\r\nreserve-with-timeout \d+\r\n$/)
      assert.strictEqual(yield* now, 299)
      yield* event("Completed")
    }))
  )

  it(
    "is sent once, when the handler has run for 300 ms",
    virtualTest(Effect.gen(function*() {
      const { peer } = yield* startWorker(() => Effect.sleep("15 seconds"))
      yield* giveJob(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsJobReply(1)), [[300, "stats-job 1"], [15_000, "delete 1"]])
    }))
  )

  it(
    "is sent when the handler fails",
    virtualTest(Effect.gen(function*() {
      const { peer, event } = yield* startWorker(() => Effect.zipRight(Effect.sleep(100), Effect.fail("no")))
      yield* giveJob(peer, 1)
      assert.deepStrictEqual(yield* nextLine(peer), [100, "stats-job 1"])
      yield* peer.say(statsJobReply(1))
      assert.match((yield* nextLine(peer))[1], /^release 1 7 \d$/)
      yield* peer.say("RELEASED\r\n")
      assert.strictEqual((yield* event("Retried")).attempt, 1)
    }))
  )

  it(
    "is sent when the handler uses job.stats, and not again",
    virtualTest(Effect.gen(function*() {
      const seen: Array<number> = []
      const read = (job: Worker.Job) => Effect.map(job.stats, ({ attempt }) => seen.push(attempt))
      const { peer } = yield* startWorker((_, job) =>
        Effect.zipRight(
          Effect.all([read(job), read(job)], { concurrency: 2 }),
          Effect.zipRight(Effect.sleep(1000), read(job))
        )
      )
      yield* giveJob(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsJobReply(1, { releases: 2 })), [
        [0, "stats-job 1"],
        [1000, "delete 1"]
      ])
      assert.deepStrictEqual(seen, [3, 3, 3])
    }))
  )

  it(
    "is sent again if the reply was an error",
    virtualTest(Effect.gen(function*() {
      const { peer } = yield* startWorker(() => Effect.sleep("10 seconds"))
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", reply.failed)
      assert.strictEqual((yield* nextLine(peer))[1], "stats-job 1")
      assert.isBelow(yield* now, 2000)
    }))
  )
})

describe("rule 14: touches", () => {
  it(
    "are sent each third of the time to run",
    virtualTest(Effect.gen(function*() {
      const { peer } = yield* startWorker(() => Effect.sleep("90 seconds"))
      yield* giveJob(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsJobReply(1)), [
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
    "may have two errors in reply, and the job is kept: with a time to run of %d s",
    (ttr) =>
      virtualTest(Effect.gen(function*() {
        const { peer, events } = yield* startWorker(() => Effect.sleep(ttr * 1500))
        yield* giveJob(peer, 1)
        yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr }))
        yield* expectAndReply(peer, "touch 1", reply.failed)
        yield* expectAndReply(peer, "touch 1", reply.failed)
        // Later it might not arrive before the time to run is over.
        assert.isAtMost((yield* nextLine(peer))[0], ttr * 900)
        yield* peer.say(reply.touched)
        yield* serve(peer, 1, "")
        assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Refused", "Refused"])
      }))()
  )

  it.each([1, 2])(
    "are sent in time for a job that was put with a time to run of %d s",
    (ttr) =>
      virtualTest(Effect.gen(function*() {
        const { peer, events } = yield* startWorker(() => Effect.sleep("5 seconds"))
        yield* giveJob(peer, 1)
        const lines = yield* serve(peer, 1, statsJobReply(1, { ttr }))
        const touches = lines.slice(1).map(([at]) => at)
        assert.isAtMost(Math.max(...touches.map((at, i) => at - (touches[i - 1] ?? 0))), ttr * 500)
        assert.deepStrictEqual(events, [])
      }))()
  )

  it(
    "that are due within 100 ms are sent together, at the time of the first",
    virtualTest(Effect.gen(function*() {
      const { peer, server } = yield* startWorker(() => Effect.sleep("30 seconds"), { concurrency: 2 })
      yield* Effect.sleep(10)
      yield* giveJob(peer, 1)
      const other = yield* acceptLane(server)
      yield* Effect.sleep(70)
      yield* giveJob(other, 2)
      const both = yield* Effect.all([serve(peer, 1, statsJobReply(1)), serve(other, 2, statsJobReply(2))], {
        concurrency: 2
      })
      const touches = both.flatMap((lines) => lines.filter(([, line]) => line.startsWith("touch")))
      assert.deepStrictEqual(touches, [[20_000, "touch 1"], [20_000, "touch 2"]])
    }))
  )

  it(
    "are sent while the worker shuts down",
    virtualTest(Effect.gen(function*() {
      const { peer, worker } = yield* startWorker(() => Effect.sleep("10 seconds"))
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr: 9 }))
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
    "of the handler delay the next one of the worker",
    virtualTest(Effect.gen(function*() {
      const { peer } = yield* startWorker((_, job) =>
        Effect.sleep("10 seconds").pipe(Effect.zipRight(job.touch), Effect.zipRight(Effect.sleep("35 seconds")))
      )
      yield* giveJob(peer, 1)
      assert.deepStrictEqual(yield* serve(peer, 1, statsJobReply(1)), [
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
    "a handler is interrupted one second before the time to run is over, and its job is released",
    virtualTest(Effect.gen(function*() {
      const { peer, event } = yield* startWorker(() => Effect.never, { heartbeat: false, retry: Schedule.forever })
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr: 5 }))
      assert.deepStrictEqual(yield* nextLine(peer), [4000, "release 1 7 1"])
      yield* peer.say("RELEASED\r\n")
      const { cause } = yield* event("Retried")
      assert.instanceOf(Option.getOrUndefined(Cause.failureOption(cause)), Cause.TimeoutException)
    }))
  )

  it(
    "the onExhausted Effect is not interrupted at the time of a handler",
    virtualTest(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* startWorker(() => Effect.fail("no"), {
        heartbeat: false,
        retry: Schedule.stop,
        onExhausted: () => Effect.sleep("4.5 seconds")
      })
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr: 5 }))
      assert.deepStrictEqual(yield* nextLine(peer), [4500, "delete 1"])
      yield* peer.say(reply.deleted)
      yield* atLeast(1)
      assert.deepStrictEqual(yield* tags, ["Discarded"])
    }))
  )
})

describe("rule 2: a lease ends", () => {
  /** Options of a client whose server may reply late. */
  const lateReplies = { replyTimeout: "5 minutes" } as const

  it(
    "one time to run after the server can have replied to the reserve, at the earliest",
    virtualTest(Effect.gen(function*() {
      const { peer, ...collected } = yield* startWorker(
        (_, job) => Effect.zipRight(job.stats, Effect.never),
        {},
        lateReplies
      )
      yield* giveJob(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* Effect.sleep("2 seconds")
      yield* peer.say(statsJobReply(1, { timeLeft: 57 }))
      yield* expectAndReply(peer, "touch 1", "")
      const { at, error } = yield* lossOf(collected)
      // The server computed `time-left` two seconds ago at most, and rounded it down to 57 s.
      assert.isAtMost(at, 60_000)
      assert.isAtLeast(at, 57_000)
      assert.match(error.message, /time to run was over/)
      yield* peer.closed
    }))
  )

  it(
    "one time to run after the last touch was sent, however late its reply was",
    virtualTest(Effect.gen(function*() {
      const { peer, ...collected } = yield* startWorker(() => Effect.never, {}, lateReplies)
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      yield* peer.expect("touch 1\r\n")
      yield* Effect.sleep("30 seconds")
      yield* peer.say(reply.touched)
      // The next touch is due, and has no reply.
      yield* peer.expect("touch 1\r\n")
      // The worker ends it a little earlier, since its timers may be late.
      assert.closeTo((yield* lossOf(collected)).at, 80_000, 2)
    }))
  )

  it(
    "one time to run after its own reserve, when stats-job tells of a later one by another connection",
    virtualTest(Effect.gen(function*() {
      const { peer, ...collected } = yield* startWorker(() => Effect.never, {}, lateReplies)
      yield* giveJob(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* Effect.sleep("1 second")
      yield* peer.say(reply.failed)
      yield* Effect.sleep("10 seconds")
      yield* peer.expect("stats-job 1\r\n")
      yield* peer.say(statsJobReply(1, { ttr: 60, timeLeft: 59 }))
      yield* expectAndReply(peer, "touch 1", "")
      // By what the server told it would be two seconds or more later.
      assert.isAtMost((yield* lossOf(collected)).at, 60_000)
    }))
  )

  it(
    "not earlier when the reply to stats-job is late",
    virtualTest(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* startWorker(() => Effect.sleep("9 seconds"), {}, lateReplies)
      yield* giveJob(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* Effect.sleep("8 seconds")
      yield* peer.say(statsJobReply(1, { timeLeft: 58 }))
      yield* expectAndReply(peer, "delete 1", reply.deleted)
      yield* giveJob(peer, 2)
      yield* expectAndReply(peer, "stats-job 2", statsJobReply(2, { ttr: 6, timeLeft: 5 }))
      yield* serve(peer, 2, "")
      yield* atLeast(2)
      assert.deepStrictEqual(yield* tags, ["Completed", "Completed"])
    }))
  )
})

describe("rule 15: a lease is lost", () => {
  const bothWays = ["interrupt", "continue"] as const

  /** A handler that takes 100 s, and how it ended. */
  const observed = Effect.map(Deferred.make<string>(), (ended) => ({
    ended: Deferred.await(ended),
    handler: Effect.onExit(
      Effect.sleep("100 seconds"),
      (exit) => Effect.flatMap(now, (at) => Deferred.succeed(ended, `${exit._tag} at ${at}`))
    )
  }))

  it.each(bothWays)(
    "when the reply to a touch is NOT_FOUND, and the connection is kept: %s",
    (onLeaseLost) =>
      virtualTest(Effect.gen(function*() {
        const { ended, handler } = yield* observed
        const { peer, ...collected } = yield* startWorker(() => handler, { onLeaseLost })
        yield* giveJob(peer, 1)
        yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
        yield* expectAndReply(peer, "touch 1", notFound)
        const { at, error } = yield* lossOf(collected)
        assert.strictEqual(at, 20_000)
        assert.deepStrictEqual([error._tag, error.id, error.tube], ["LeaseLost", "1", "t"])
        if (onLeaseLost === "interrupt") {
          assert.strictEqual(yield* ended, "Failure at 20000")
        } else {
          assert.strictEqual(yield* ended, "Success at 100000")
          yield* expectAndReply(peer, "delete 1", notFound)
        }
        yield* giveJob(peer, 2)
        assert.deepStrictEqual(yield* collected.tags, ["LeaseLost"])
      }))()
  )

  it.each([
    { line: "release 1 7 1", order: new Worker.RetryAfter({ delay: "1 second" }) },
    { line: "bury 1 7", order: new Worker.Bury() }
  ])(
    "when the reply to its release or bury is NOT_FOUND: $line",
    ({ line, order }) =>
      virtualTest(Effect.gen(function*() {
        const { peer, ...collected } = yield* startWorker(() => Effect.fail(order))
        yield* giveJob(peer, 1)
        yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
        yield* expectAndReply(peer, line, notFound)
        const { error } = yield* lossOf(collected)
        assert.instanceOf(error.cause, BeanstalkError.JobNotFound)
        assert.deepStrictEqual(yield* collected.tags, ["LeaseLost"])
        // The worker may close the connection, which gives back a job that is still reserved by it.
        yield* Effect.raceFirst(peer.closed, giveJob(peer, 2))
      }))()
  )

  it.each(bothWays)(
    "when the connection is lost: %s",
    (onLeaseLost) =>
      virtualTest(Effect.gen(function*() {
        const { ended, handler } = yield* observed
        const { peer, server, ...collected } = yield* startWorker(() => handler, { onLeaseLost })
        yield* giveJob(peer, 1)
        yield* Effect.sleep("1 second")
        yield* peer.reset
        const { at, error } = yield* lossOf(collected)
        assert.strictEqual(at, 1000)
        assert.include(error.message, "ECONNRESET")
        assert.strictEqual(
          yield* ended,
          onLeaseLost === "interrupt" ? "Failure at 1000" : "Success at 100000"
        )
        const next = yield* acceptLane(server)
        if (onLeaseLost === "continue") yield* expectAndReply(next, "delete 1", notFound)
        yield* giveJob(next, 2)
        assert.deepStrictEqual(yield* collected.tags, ["LeaseLost"])
      }))()
  )

  it(
    "and leaseLost and touch fail, at that moment and later",
    virtualTest(Effect.gen(function*() {
      const errors = yield* Deferred.make<readonly [string, string, string]>()
      const { peer } = yield* startWorker((_, job) =>
        Effect.uninterruptible(Effect.gen(function*() {
          const racing = yield* Effect.flip(job.leaseLost)
          const later = yield* Effect.flip(job.leaseLost)
          const touching = yield* Effect.flip(job.touch)
          yield* Deferred.succeed(errors, [racing._tag, later._tag, touching._tag])
        }))
      )
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      yield* expectAndReply(peer, "touch 1", notFound)
      assert.deepStrictEqual(yield* Deferred.await(errors), ["LeaseLost", "LeaseLost", "LeaseLost"])
    }))
  )

  it(
    "not by NOT_FOUND in reply to a touch that was sent after the bury",
    virtualTest(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* startWorker((_, job) =>
        Effect.zipRight(
          job.stats,
          Effect.forkDaemon(Effect.forever(job.touch)).pipe(
            Effect.zipRight(Effect.yieldNow()),
            Effect.zipRight(new Worker.Bury())
          )
        )
      )
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr: 3 }))
      yield* expectAndReply(peer, "touch 1\r\nbury 1 7", reply.touched)
      // Another touch may be due and sent while the bury has no reply; its reply is NOT_FOUND.
      yield* Effect.sleep("2 seconds")
      const touches = (yield* peer.rest).split("\r\n").length - 1
      yield* peer.say(`BURIED\r\n${notFound.repeat(touches)}`)
      yield* atLeast(1)
      assert.deepStrictEqual(yield* tags, ["Buried"])
    }))
  )
})

describe("rule 16: a handler that takes too long", () => {
  it(
    "is interrupted, and its job is released as after a failure",
    virtualTest(Effect.gen(function*() {
      const { peer, event } = yield* startWorker(() => Effect.never, {
        timeout: "10 seconds",
        retry: Schedule.spaced("5 seconds")
      })
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      assert.deepStrictEqual(yield* nextLine(peer), [10_000, "release 1 7 5"])
      yield* peer.say("RELEASED\r\n")
      const { cause } = yield* event("Retried")
      assert.instanceOf(Option.getOrUndefined(Cause.failureOption(cause)), Cause.TimeoutException)
    }))
  )

  it(
    "keeps its job until it ends if it cannot be interrupted",
    virtualTest(Effect.gen(function*() {
      const { atLeast, peer, tags } = yield* startWorker(
        () => Effect.zipRight(Effect.uninterruptible(Effect.sleep("70 seconds")), Effect.fail("no")),
        { timeout: "10 seconds", retry: Schedule.forever }
      )
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      for (const at of [20_000, 40_000, 60_000]) {
        assert.deepStrictEqual(yield* nextLine(peer), [at, "touch 1"])
        yield* peer.say(reply.touched)
      }
      assert.deepStrictEqual(yield* nextLine(peer), [70_000, "release 1 7 1"])
      yield* peer.say("RELEASED\r\n")
      yield* atLeast(1)
      assert.deepStrictEqual(yield* tags, ["Retried"])
    }))
  )
})
