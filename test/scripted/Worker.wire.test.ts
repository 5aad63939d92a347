/** What a worker says to its server, byte for byte, and in which write. */
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

const greeting = "stats\r\nwatch work\r\nignore default\r\n"

const greeted = "WATCHING 2\r\nWATCHING 1\r\n"

/** The next lane of a worker, behind its greeting. */
const welcome = (server: Scripted.Server, instance = sameInstance) =>
  Effect.tap(
    server.accept,
    (peer) => Effect.zipRight(peer.expect(greeting), peer.say(statsOf(instance) + greeted))
  )

const reserve = /^reserve-with-timeout (27|28|29|30|31|32|33)\r\n$/

/** Waits for a reserve. */
const reserves = (peer: Scripted.Peer) =>
  Effect.tap(peer.line, (line) => Effect.sync(() => assert.match(line, reserve)))

/** A lane that waits for a job. */
const waiting = (server: Scripted.Server, instance?: string) => Effect.tap(welcome(server, instance), reserves)

const job = "RESERVED 1 2\r\nhi\r\n"

/** Lets time pass at the end of a test: what has not been answered by then is waited for. */
const closing = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const exit = yield* Effect.exit(Scope.extend(test, scope))
    const timePasses = Effect.forever(Effect.zipRight(TestClock.adjust("10 seconds"), Scripted.turn))
    yield* Effect.raceFirst(Scope.close(scope, exit), timePasses)
    return yield* exit
  })

/** With a server whose part the test plays; a connection that is lost is made again at once. */
const played = <A, E, R>(play: (server: Scripted.Server) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Scripted.inMemory(),
    (server) => closing(play(server)).pipe(onServer(server, { reconnect: Schedule.forever }))
  )

const [, exchanges] = recordings[1]!

/** What a server answers to `stats-job`. */
const statsJob = (says: Readonly<Record<string, number | string>>) =>
  ok(
    Object.entries({ id: 1, tube: "\"work\"", state: "reserved", "time-left": 59, ttr: 60, ...says }).reduce(
      (document, [key, value]) => document.replace(new RegExp(`^${key}: .*$`, "m"), `${key}: ${value}`),
      recordedDocument(exchanges, "stats-job 1")
    )
  )

describe("rule 5: a new lane", () => {
  it.effect("rule 5: watches its tube and ignores the default one in one write, and reserves when all is answered", () =>
    played((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void)
        const peer = yield* server.accept
        yield* peer.expect(greeting)
        assert.deepStrictEqual(peer.writes, [greeting])
        for (const reply of [statsOf(sameInstance), "WATCHING 2\r\n"]) {
          yield* peer.say(reply)
          yield* Scripted.turn
          assert.strictEqual(yield* peer.rest, "")
        }
        yield* peer.say("WATCHING 1\r\n")
        yield* reserves(peer)
      })
    ))

  it.effect("rule 5: does not ignore the default tube if that is its own", () =>
    played((server) =>
      Effect.gen(function*() {
        yield* start(Tube.text("default"), () => Effect.void)
        const peer = yield* server.accept
        yield* peer.expect("stats\r\n")
        yield* peer.say(statsOf(sameInstance))
        yield* reserves(peer)
      })
    ))

  it.effect.each(
    [
      ["watch is refused", "BAD_FORMAT\r\nWATCHING 1\r\n"],
      ["ignore is refused", "WATCHING 2\r\nNOT_IGNORED\r\n"],
      ["watch means nothing", "DELETED\r\nWATCHING 1\r\n"]
    ] as const
  )("rule 5: is given up if its %s, and another is opened", ([, replies]) =>
    played((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void)
        const peer = yield* server.accept
        yield* peer.expect(greeting)
        yield* peer.say(statsOf(sameInstance) + replies)
        yield* peer.closed
        assert.strictEqual(yield* peer.rest, "")
        yield* waiting(server)
      })
    ))
})

describe("rule 7: a lane that holds a job", () => {
  it.effect("rule 7: has no reserve outstanding, whatever it is that takes so long", () =>
    played((server) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        yield* start(tube, (_, job) => Effect.zipRight(job.touch, Deferred.await(done)))
        const peer = yield* waiting(server)
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
        yield* reserves(peer)
      })
    ))

  it.effect("rule 7: reserves only when it is known that the job has been released, or buried", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event } = yield* start(tube, () => new Refused(), { retry: Schedule.recurs(1) })
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({ pri: 7 }))
        yield* peer.expect("release 1 7 1\r\n")
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "")
        yield* peer.say("RELEASED\r\n")
        yield* event("Retried")
        yield* reserves(peer)
        yield* peer.say(job)
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({ pri: 7, releases: 1, reserves: 2 }))
        yield* peer.expect("bury 1 7\r\n")
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "")
        yield* peer.say("BURIED\r\n")
        yield* event("Buried")
        yield* reserves(peer)
      })
    ))

  it.effect("rule 13: says nothing about a short job but that it is done", () =>
    played((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.delay(Effect.void, "299 millis"))
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* TestClock.adjust("299 millis")
        yield* peer.expect("delete 1\r\n")
      })
    ))
})

describe("rule 9: a reserve", () => {
  it.effect("rule 9: is made again and again, each time for a tenth more or less", () =>
    played((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void, { reserveSlice: "100 seconds" })
        const peer = yield* welcome(server)
        const seconds: Array<number> = []
        while (seconds.length < 20) {
          const [word, slice] = (yield* peer.line).split(" ")
          assert.strictEqual(word, "reserve-with-timeout")
          seconds.push(Number(slice))
          yield* peer.say("TIMED_OUT\r\n")
        }
        for (const slice of seconds) {
          assert.isAtLeast(slice, 90)
          assert.isAtMost(slice, 110)
        }
        assert.isAbove(new Set(seconds).size, 3)
      })
    ))

  it.effect("rule 9: that is not answered a second behind its time means that the server is gone", () =>
    played((server) =>
      Effect.gen(function*() {
        yield* start(tube, () => Effect.void)
        const peer = yield* welcome(server)
        const slice = Number((yield* peer.line).split(" ")[1])
        yield* TestClock.adjust(`${slice * 1000 + 999} millis`)
        assert.isFalse(peer.isClosed)
        yield* TestClock.adjust("1 millis")
        yield* peer.closed
        yield* waiting(server)
      })
    ))
})

describe("rule 10: a job that is done", () => {
  it.effect("rule 10: is deleted in the write in which the next is reserved", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event } = yield* start(tube, () => Effect.void)
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* reserves(peer)
        assert.match(peer.writes.at(-1) ?? "", /^delete 1\r\nreserve-with-timeout \d+\r\n$/)
        yield* peer.say(`DELETED\r\n${job.replace("1", "2")}`)
        assert.strictEqual((yield* event("Completed")).id, "1")
        yield* peer.expect("delete 2\r\n")
        yield* reserves(peer)
        assert.match(peer.writes.at(-1) ?? "", /^delete 2\r\nreserve-with-timeout \d+\r\n$/)
      })
    ))

  it.effect("rule 10: is deleted at once, alone, while the gate is closed", () =>
    played((server) =>
      Effect.gen(function*() {
        const gate = yield* Effect.makeLatch(true)
        const { event } = yield* start(tube, () => gate.close, { gate: gate.await })
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* peer.say("DELETED\r\n")
        yield* event("Completed")
        yield* Scripted.turn
        assert.strictEqual(yield* peer.rest, "")
        yield* gate.open
        yield* reserves(peer)
      })
    ))

  it.effect("rule 10: is deleted alone behind a call for quiet, and the lane closes when that is answered", () =>
    played((server) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        const { event, worker } = yield* start(tube, () => Deferred.await(done))
        const peer = yield* waiting(server)
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

  it.effect("rule 10: is deleted before a call for quiet that comes right behind it closes its lane", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, worker } = yield* start(tube, () => Effect.void)
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* reserves(peer)
        yield* worker.quiet
        yield* Scripted.turn
        assert.isFalse(peer.isClosed)
        yield* peer.say("DELETED\r\n")
        yield* event("Completed")
        yield* peer.closed
      })
    ))
})

describe("rule 17: a job that is done, but not known to be deleted", () => {
  /** A worker whose connection is lost under the delete of its first job. */
  const lostUnderDelete = (server: Scripted.Server, handler: Effect.Effect<void, Worker.Order> = Effect.void) =>
    Effect.gen(function*() {
      const started = yield* start(tube, () => handler)
      const peer = yield* waiting(server)
      yield* peer.say(job)
      if (handler !== Effect.void) {
        yield* peer.expect("stats-job 1\r\n")
        yield* peer.say(statsJob({}))
      }
      yield* peer.expect("delete 1\r\n")
      yield* reserves(peer)
      yield* peer.hangUp
      return started
    })

  it.effect("rule 17: is deleted on the next connection to the same process", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostUnderDelete(server)
        const next = yield* welcome(server)
        yield* next.expect("delete 1\r\n")
        yield* Scripted.turn
        assert.strictEqual(yield* next.rest, "")
        assert.deepStrictEqual(yield* tags, [])
        yield* next.say("DELETED\r\n")
        assert.strictEqual((yield* event("Completed")).id, "1")
        yield* reserves(next)
        assert.deepStrictEqual(yield* tags, ["Completed"])
      })
    ))

  it.effect("rule 17: may be deleted already if the same process does not find it", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostUnderDelete(server)
        const next = yield* welcome(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("NOT_FOUND\r\n")
        assert.strictEqual((yield* event("CompletionUnknown")).id, "1")
        yield* reserves(next)
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
      })
    ))

  it.effect("rule 17: is never deleted in another process, where another job may have its number", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostUnderDelete(server)
        const next = yield* waiting(server, "fedcba9876543210")
        assert.strictEqual((yield* event("CompletionUnknown")).id, "1")
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
        assert.notInclude(next.writes.join(""), "delete")
      })
    ))

  it.effect("rule 17: is asked for once more, and no more", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostUnderDelete(server)
        const next = yield* welcome(server)
        yield* next.expect("delete 1\r\n")
        yield* next.hangUp
        assert.strictEqual((yield* event("CompletionUnknown")).id, "1")
        yield* waiting(server)
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
      })
    ))

  it.effect("rule 17: is asked for on the connection behind one that does not come about", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event } = yield* lostUnderDelete(server)
        const none = yield* server.accept
        yield* none.hangUp
        const next = yield* welcome(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("DELETED\r\n")
        yield* event("Completed")
      })
    ))

  it.effect("rule 17: is known to be so when the worker ends before it was found out", () =>
    played((server) =>
      Effect.gen(function*() {
        const { tags, worker } = yield* lostUnderDelete(server)
        yield* server.accept
        const closing = yield* Effect.fork(worker.shutdown)
        yield* TestClock.adjust("1 minute")
        yield* closing
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown", "ShutdownReport"])
      })
    ))

  it.effect("rule 17: is a discarded one, too", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* lostUnderDelete(server, Effect.fail(new Worker.Discard()))
        const next = yield* welcome(server)
        yield* next.expect("delete 1\r\n")
        yield* next.say("DELETED\r\n")
        yield* event("Discarded")
        assert.deepStrictEqual(yield* tags, ["Discarded"])
      })
    ))

  it.effect("rule 17: was somebody else's if the server does not find it: its lease was lost", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* start(tube, () => Effect.void)
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* reserves(peer)
        yield* peer.say("NOT_FOUND\r\n")
        assert.strictEqual((yield* event("LeaseLost")).error._tag, "LeaseLost")
        yield* peer.say(job.replace("1", "2"))
        yield* peer.expect("delete 2\r\n")
        assert.deepStrictEqual(yield* tags, ["LeaseLost"])
      })
    ))

  it.effect("rule 17: is given back by closing if the server fails to delete it", () =>
    played((server) =>
      Effect.gen(function*() {
        const { event, tags } = yield* start(tube, () => Effect.void)
        const peer = yield* waiting(server)
        yield* peer.say(job)
        yield* peer.expect("delete 1\r\n")
        yield* peer.say("INTERNAL_ERROR\r\n")
        yield* event("CompletionUnknown")
        yield* peer.closed
        yield* waiting(server)
        assert.deepStrictEqual(yield* tags, ["CompletionUnknown"])
      })
    ))
})

describe("rule 3: what a job has been through", () => {
  it.effect.each(
    [
      ["a first run", { reserves: 1 }, { attempt: 1, failures: 0, disconnects: 0 }],
      ["a release", { reserves: 2, releases: 1 }, { attempt: 2, failures: 1, disconnects: 0 }],
      ["a timeout", { reserves: 2, timeouts: 1 }, { attempt: 2, failures: 1, disconnects: 0 }],
      ["a disconnect", { reserves: 2 }, { attempt: 1, failures: 0, disconnects: 1 }],
      ["a bury and a kick", { reserves: 2, buries: 1, kicks: 1 }, { attempt: 1, failures: 0, disconnects: 0 }],
      ["a restart of the server, which adds to what it buried", { reserves: 1, buries: 2, kicks: 1 }, {
        attempt: 1,
        failures: 0,
        disconnects: 0
      }],
      ["all of it", { reserves: 10, releases: 3, timeouts: 2, buries: 1 }, {
        attempt: 6,
        failures: 5,
        disconnects: 3
      }]
    ] as const
  )(
    "rule 3: is told from the server's counters: %s",
    ([, counters, told]) =>
      played((server) =>
        Effect.gen(function*() {
          const seen: Array<Worker.RunStats> = []
          const { event } = yield* start(tube, (_, job) => Effect.map(job.stats, (stats) => seen.push(stats)))
          const peer = yield* waiting(server)
          yield* peer.say(job)
          yield* peer.expect("stats-job 1\r\n")
          const none = { reserves: 0, releases: 0, timeouts: 0, buries: 0, kicks: 0 }
          yield* peer.say(statsJob({ ...none, ...counters }))
          yield* peer.expect("delete 1\r\n")
          yield* peer.say("DELETED\r\n")
          yield* event("Completed")
          assert.strictEqual(seen.length, 1)
          assert.deepInclude(seen[0], told)
        })
      )
  )
})
