/** The commands that a worker sends, byte by byte, and which of them are one write. */
import { assert, describe, it } from "@effect/vitest"
import { Tube, Worker } from "effect-beanstalk"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { sameInstance, statsOf } from "../support/clients.ts"
import { ok, recordedDocument, recordings } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"
import { onServer, start } from "../support/workers.ts"

class Refused extends Data.TaggedError("Refused") {}

const tube = Tube.text("work")

const handshake = "stats\r\nwatch work\r\nignore default\r\n"

const watchReplies = "WATCHING 2\r\nWATCHING 1\r\n"

/** Accepts the next lane of a worker, and replies to its handshake. */
const acceptLane = (server: Scripted.Server, instance = sameInstance) =>
  Effect.tap(
    server.accept,
    (peer) => Effect.zipRight(peer.expect(handshake), peer.say(statsOf(instance) + watchReplies))
  )

const reserve = /^reserve-with-timeout (27|28|29|30|31|32|33)\r\n$/

/** Expects a reserve. */
const expectReserve = (peer: Scripted.Peer) =>
  Effect.tap(peer.line, (line) => Effect.sync(() => assert.match(line, reserve)))

/** Accepts the next lane of a worker, up to its first reserve. */
const acceptReserve = (server: Scripted.Server, instance?: string) =>
  Effect.tap(acceptLane(server, instance), expectReserve)

const job = "RESERVED 1 2\r\nhi\r\n"

/** Advances the clock while the test's Scope closes: the shutdown of a worker waits for replies that the test does not give. */
const closing = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const exit = yield* Effect.exit(Scope.extend(test, scope))
    const advance = Effect.forever(Effect.zipRight(TestClock.adjust("10 seconds"), Scripted.turn))
    yield* Effect.raceFirst(Scope.close(scope, exit), advance)
    return yield* exit
  })

/** Runs a test with a scripted server. A connection that is lost is opened again at once. */
const scripted = <A, E, R>(test: (server: Scripted.Server) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Scripted.inMemory(),
    (server) => closing(test(server)).pipe(onServer(server, { reconnect: Schedule.forever }))
  )

const [, exchanges] = recordings[1]!

/** The reply to `stats-job`, with these values. */
const statsJob = (values: Readonly<Record<string, number | string>>) =>
  ok(
    Object.entries({ id: 1, tube: "\"work\"", state: "reserved", "time-left": 59, ttr: 60, ...values }).reduce(
      (document, [key, value]) => document.replace(new RegExp(`^${key}: .*$`, "m"), `${key}: ${value}`),
      recordedDocument(exchanges, "stats-job 1")
    )
  )

describe("rule 5: a new lane", () => {
  it.effect("rule 5: watches its tube and ignores the default tube in one write, and reserves after the last reply", () =>
    scripted((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void)
        const peer = yield* server.accept
        yield* peer.expect(handshake)
        assert.deepStrictEqual(peer.writes, [handshake])
        for (const reply of [statsOf(sameInstance), "WATCHING 2\r\n"]) {
          yield* peer.say(reply)
          yield* Scripted.turn
          assert.strictEqual(yield* peer.rest, "")
        }
        yield* peer.say("WATCHING 1\r\n")
        yield* expectReserve(peer)
      })
    ))

  it.effect("rule 5: does not ignore the default tube if that is its own", () =>
    scripted((server) =>
      Effect.gen(function*() {
        yield* start(Tube.text("default"), () => Effect.void)
        const peer = yield* server.accept
        yield* peer.expect("stats\r\n")
        yield* peer.say(statsOf(sameInstance))
        yield* expectReserve(peer)
      })
    ))

  it.effect.each(
    [
      ["watch is refused", "BAD_FORMAT\r\nWATCHING 1\r\n"],
      ["ignore is refused", "WATCHING 2\r\nNOT_IGNORED\r\n"],
      ["watch has a wrong reply", "DELETED\r\nWATCHING 1\r\n"]
    ] as const
  )("rule 5: is closed if its %s, and another is opened", ([, replies]) =>
    scripted((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void)
        const peer = yield* server.accept
        yield* peer.expect(handshake)
        yield* peer.say(statsOf(sameInstance) + replies)
        yield* peer.closed
        assert.strictEqual(yield* peer.rest, "")
        yield* acceptReserve(server)
      })
    ))
})

describe("rule 7: a lane that holds a job", () => {
  it.effect("rule 7: has no reserve outstanding while the handler runs and the job is touched", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        yield* start(tube, (_, job) => Effect.zipRight(job.touch, Deferred.await(done)))
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("touch 1\r\n")
        yield* peer.say("TOUCHED\r\n")
        yield* TestClock.adjust("1 second")
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({}))
        for (let touches = 0; touches < 3; touches += 1) {
          yield* TestClock.adjust("20 seconds")
          yield* peer.expect("touch 1\r\n")
          yield* peer.say("TOUCHED\r\n")
        }
        assert.strictEqual(yield* peer.rest, "")
        yield* Deferred.succeed(done, undefined)
        yield* peer.expect("delete 1\r\n")
        yield* expectReserve(peer)
      })
    ))

  it.effect("rule 7: reserves only after the reply to the release or bury of its job", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event } = yield* start(tube, () => new Refused(), { retry: Schedule.recurs(1) })
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({ pri: 7 }))
        yield* peer.expect("release 1 7 1\r\n")
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "")
        yield* peer.say("RELEASED\r\n")
        yield* event("Retried")
        yield* expectReserve(peer)
        yield* peer.say(job)
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({ pri: 7, releases: 1, reserves: 2 }))
        yield* peer.expect("bury 1 7\r\n")
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "")
        yield* peer.say("BURIED\r\n")
        yield* event("Buried")
        yield* expectReserve(peer)
      })
    ))

  it.effect("rule 13: sends nothing but the delete of a job that ends within 300 ms", () =>
    scripted((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.delay(Effect.void, "299 millis"))
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* TestClock.adjust("299 millis")
        yield* peer.expect("delete 1\r\n")
      })
    ))
})

describe("rule 9: a reserve", () => {
  it.effect("rule 9: is repeated, each time with a timeout of a tenth more or less", () =>
    scripted((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void, { reserveSlice: "100 seconds" })
        const peer = yield* acceptLane(server)
        const seconds: Array<number> = []
        while (seconds.length < 20) {
          const [word, slice] = (yield* peer.line).split(" ")
          assert.strictEqual(word, "reserve-with-timeout")
          seconds.push(Number(slice))
          yield* TestClock.adjust(`${Number(slice)} seconds`)
          yield* peer.say("TIMED_OUT\r\n")
        }
        for (const slice of seconds) {
          assert.isAtLeast(slice, 90)
          assert.isAtMost(slice, 110)
        }
        assert.isAbove(new Set(seconds).size, 3)
      })
    ))

  it.effect("rule 9: without a reply one second after its timeout closes the connection, and another is opened", () =>
    scripted((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void)
        const peer = yield* acceptLane(server)
        const slice = Number((yield* peer.line).split(" ")[1])
        yield* TestClock.adjust(`${slice * 1000 + 999} millis`)
        assert.isFalse(peer.isClosed)
        yield* TestClock.adjust("1 millis")
        yield* peer.closed
        yield* acceptReserve(server)
      })
    ))
})

describe("rule 10: a completed job", () => {
  it.effect("rule 10: is deleted in the write of the next reserve", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event } = yield* start(tube, () => Effect.void)
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* expectReserve(peer)
        assert.match(peer.writes.at(-1) ?? "", /^delete 1\r\nreserve-with-timeout \d+\r\n$/)
        yield* peer.say(`DELETED\r\n${job.replace("1", "2")}`)
        assert.strictEqual((yield* event("Completed")).id, "1")
        yield* peer.expect("delete 2\r\n")
        yield* expectReserve(peer)
        assert.match(peer.writes.at(-1) ?? "", /^delete 2\r\nreserve-with-timeout \d+\r\n$/)
      })
    ))

  it.effect("rule 10: is deleted at once, without a reserve, while the gate waits", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const gate = yield* Effect.makeLatch(true)
        const { event } = yield* start(tube, () => gate.close, { gate: gate.await })
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* peer.say("DELETED\r\n")
        yield* event("Completed")
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "")
        yield* gate.open
        yield* expectReserve(peer)
      })
    ))

  it.effect("rule 10: is deleted without a reserve after quiet, and the lane closes after the reply", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        const { event, worker } = yield* start(tube, () => Deferred.await(done))
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* Scripted.turn
        yield* worker.quiet
        yield* Deferred.succeed(done, undefined)
        yield* peer.expect("delete 1\r\n")
        yield* Scripted.turn
        assert.isFalse(peer.isClosed)
        yield* peer.say("DELETED\r\n")
        yield* event("Completed")
        yield* peer.closed
        assert.strictEqual(yield* peer.rest, "")
      })
    ))

  it.effect("rule 10: is deleted before its lane closes, when quiet is called right after the delete", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, worker } = yield* start(tube, () => Effect.void)
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* expectReserve(peer)
        yield* worker.quiet
        yield* Scripted.turn
        assert.isFalse(peer.isClosed)
        yield* peer.say("DELETED\r\n")
        yield* event("Completed")
        yield* peer.closed
      })
    ))
})

describe("rule 17: a completed job whose delete has no reply", () => {
  /** A worker whose connection is lost after it has sent the delete of its first job. */
  const lostAfterDelete = (server: Scripted.Server, handler: Effect.Effect<void, Worker.Order> = Effect.void) =>
    Effect.gen(function*() {
      const started = yield* start(tube, () => handler)
      const peer = yield* acceptReserve(server)
      yield* peer.say(job)
      if (handler !== Effect.void) {
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({}))
      }
      yield* peer.expect("delete 1\r\n")
      yield* expectReserve(peer)
      yield* peer.hangUp
      return started
    })

  it.effect("rule 17: is deleted on the next connection, to the same server process", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostAfterDelete(server)
        const next = yield* acceptLane(server)
        yield* next.expect("delete 1\r\n")
        yield* Scripted.turn
        assert.strictEqual(yield* next.rest, "")
        assert.deepStrictEqual(yield* tags, [])
        yield* next.say("DELETED\r\n")
        assert.strictEqual((yield* event("Completed")).id, "1")
        yield* expectReserve(next)
        assert.deepStrictEqual(yield* tags, ["Completed"])
      })
    ))

  it.effect("rule 17: is CompletionUnknown if the same server process replies NOT_FOUND", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostAfterDelete(server)
        const next = yield* acceptLane(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("NOT_FOUND\r\n")
        assert.strictEqual((yield* event("CompletionUnknown")).id, "1")
        yield* expectReserve(next)
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
      })
    ))

  it.effect("rule 17: is not deleted in another server process, where another job may have its id", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostAfterDelete(server)
        const next = yield* acceptReserve(server, "fedcba9876543210")
        assert.strictEqual((yield* event("CompletionUnknown")).id, "1")
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
        assert.notInclude(next.writes.join(""), "delete")
      })
    ))

  it.effect("rule 17: is deleted a second time, and not a third time", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostAfterDelete(server)
        const next = yield* acceptLane(server)
        yield* next.expect("delete 1\r\n")
        yield* next.hangUp
        assert.strictEqual((yield* event("CompletionUnknown")).id, "1")
        yield* acceptReserve(server)
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
      })
    ))

  it.effect("rule 17: is deleted on a later connection if the handshake of the next one fails", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event } = yield* lostAfterDelete(server)
        const failing = yield* server.accept
        yield* failing.hangUp
        const next = yield* acceptLane(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("DELETED\r\n")
        yield* event("Completed")
      })
    ))

  it.effect("rule 17: is CompletionUnknown if the worker is closed before another connection is open", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { tags, worker } = yield* lostAfterDelete(server)
        yield* server.accept
        const closing = yield* Effect.fork(worker.shutdown)
        yield* TestClock.adjust("1 minute")
        yield* closing
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown", "ShutdownReport"])
      })
    ))

  it.effect("rule 17: is deleted on the next connection if it was discarded, too", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostAfterDelete(server, Effect.fail(new Worker.Discard()))
        const next = yield* acceptLane(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("DELETED\r\n")
        yield* event("Discarded")
        assert.deepStrictEqual(yield* tags, ["Discarded"])
      })
    ))

  it.effect("rule 17: has lost its lease if the server replies NOT_FOUND", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* start(tube, () => Effect.void)
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* expectReserve(peer)
        // At once it would be the answer of a server that sends jobs and does not know them: the connection is closed then.
        yield* TestClock.adjust("6 seconds")
        yield* peer.say("NOT_FOUND\r\n")
        assert.strictEqual((yield* event("LeaseLost")).error._tag, "LeaseLost")
        yield* peer.say(job.replace("1", "2"))
        yield* peer.expect("delete 2\r\n")
        assert.deepStrictEqual(yield* tags, ["LeaseLost"])
      })
    ))

  it.effect("rule 17: is deleted on another connection if the reply is an error", () =>
    scripted((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* start(tube, () => Effect.void)
        const peer = yield* acceptReserve(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* peer.say("INTERNAL_ERROR\r\n")
        yield* peer.closed
        const next = yield* acceptLane(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("DELETED\r\n")
        yield* event("Completed")
        assert.deepStrictEqual(yield* tags, ["Refused", "Completed"])
      })
    ))
})

describe("rule 3: the stats of a job", () => {
  it.effect.each(
    [
      ["a first run", { reserves: 1 }, { attempt: 1, failures: 0, disconnects: 0 }],
      ["a release", { reserves: 2, releases: 1 }, { attempt: 2, failures: 1, disconnects: 0 }],
      ["a timeout", { reserves: 2, timeouts: 1 }, { attempt: 2, failures: 1, disconnects: 0 }],
      ["a disconnect", { reserves: 2 }, { attempt: 1, failures: 0, disconnects: 1 }],
      ["a bury and a kick", { reserves: 2, buries: 1, kicks: 1 }, { attempt: 1, failures: 0, disconnects: 0 }],
      ["a restart of the server, which counts a buried job again", { reserves: 1, buries: 2, kicks: 1 }, {
        attempt: 1,
        failures: 0,
        disconnects: 0
      }],
      ["a disconnect after such a restart", { reserves: 3, buries: 2, kicks: 1 }, {
        attempt: 1,
        failures: 0,
        disconnects: 1
      }],
      ["a kick of the delayed job", { reserves: 3, releases: 1, kicks: 1 }, {
        attempt: 2,
        failures: 1,
        disconnects: 1
      }],
      ["each of them", { reserves: 10, releases: 3, timeouts: 2, buries: 1, kicks: 1 }, {
        attempt: 6,
        failures: 5,
        disconnects: 3
      }]
    ] as const
  )(
    "rule 3: are computed from the counters of the server: %s",
    ([, counters, expected]) =>
      scripted((server) =>
        Effect.gen(function*() {
          const seen: Array<Worker.RunStats> = []
          const { event } = yield* start(tube, (_, job) => Effect.map(job.stats, (stats) => seen.push(stats)))
          const peer = yield* acceptReserve(server)
          yield* peer.say(job)
          yield* peer.expect("stats-job 1\r\n")
          const none = { reserves: 0, releases: 0, timeouts: 0, buries: 0, kicks: 0 }
          yield* peer.say(statsJob({ ...none, ...counters }))
          yield* peer.expect("delete 1\r\n")
          yield* peer.say("DELETED\r\n")
          yield* event("Completed")
          assert.strictEqual(seen.length, 1)
          assert.deepInclude(seen[0], expected)
        })
      )
  )
})
