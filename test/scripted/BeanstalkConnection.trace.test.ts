/** What a connection logs: every request and reply line at Trace, with its name, and never a body. */
import { assert, describe, it } from "@effect/vitest"
import type { BeanstalkConnection } from "effect-beanstalk"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { inspect } from "node:util"
import { ok } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

interface Entry {
  readonly level: string
  readonly message: string
  readonly cause: Cause.Cause<unknown>
  readonly annotations: Record<string, unknown>
}

/** Runs an Effect with a logger that records each entry, in every form in which loggers print it. */
const logged = <A, E, R>(level: LogLevel.LogLevel, self: (entries: ReadonlyArray<Entry>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const entries: Array<Entry> = []
    const logger = Logger.make((options) => {
      entries.push({
        level: options.logLevel.label,
        cause: options.cause,
        message: [options.message].flat().join(" "),
        annotations: Object.fromEntries(HashMap.toEntries(options.annotations))
      })
    })
    return self(entries).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(level)
    )
  })

/** The entries of a connection, without those of the fibers of the test. */
const own = (entries: ReadonlyArray<Entry>) => entries.filter(({ annotations }) => "beanstalkd.address" in annotations)

const lines = (entries: ReadonlyArray<Entry>) => own(entries).map(({ message }) => message)

const secret = "hunter2 swordfish"

const session = (connection: BeanstalkConnection.Connection, peer: Scripted.Peer) =>
  Effect.gen(function*() {
    const size = secret.length
    const fibers = yield* Scripted.start([
      connection.put(secret, { tube: "t" }),
      connection.reserveJob("7"),
      connection.peek("8"),
      connection.delete("9"),
      connection.release("7", { priority: 3, delay: "1 second" }),
      connection.listTubes
    ])
    yield* peer.expect(
      `use t\r\nput 1024 0 60 ${size}\r\n${secret}\r\nreserve-job 7\r\npeek 8\r\ndelete 9\r\nrelease 7 3 1\r\nlist-tubes\r\n`
    )
    yield* peer.say(
      `USING t\r\nINSERTED 7\r\nRESERVED 7 ${size}\r\n${secret}\r\nFOUND 8 ${size}\r\n${secret}\r\nNOT_FOUND\r\n` +
        `RELEASED\r\n${ok("---\n- default\n- t\n")}`,
      5
    )
    return yield* Scripted.endings(fibers)
  })

describe("at Trace", () => {
  it.scoped("every command and every reply is logged in order, bodies as sizes", () =>
    logged(LogLevel.Trace, (entries) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        yield* session(connection, peer)
        assert.deepStrictEqual(lines(entries), [
          "> stats",
          `< OK (${Scripted.document.length} bytes)`,
          "> use t",
          `> put 1024 0 60 ${secret.length} (${secret.length} bytes)`,
          "> reserve-job 7",
          "> peek 8",
          "> delete 9",
          "> release 7 3 1",
          "> list-tubes",
          "< USING t",
          "< INSERTED 7",
          `< RESERVED 7 (${secret.length} bytes)`,
          `< FOUND 8 (${secret.length} bytes)`,
          "< NOT_FOUND",
          "< RELEASED",
          "< OK (18 bytes)"
        ])
        assert.deepStrictEqual(new Set(own(entries).map(({ level }) => level)), new Set(["TRACE"]))
      })))

  it.scoped("no part of a body is in any log, error or printed job", () =>
    logged(LogLevel.All, (entries) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        yield* session(connection, peer)
        const fibers = yield* Scripted.start([connection.peek("8"), connection.put(secret), connection.reserve])
        yield* Scripted.turn
        yield* peer.say(`FOUND 8 3\r\nabc${secret}\r\n`)
        const exits = yield* Scripted.exits(fibers)
        yield* Effect.forEach(exits, (exit) => Exit.isFailure(exit) ? Effect.logError("lost", exit.cause) : Effect.void)
        const shown = inspect([entries, connection, exits], { depth: 12, showHidden: true })
        assert.include(shown, "a body that is not followed by CRLF")
        assert.notMatch(shown, /hunter2|swordfish/)
      })))

  it.scoped("an unexpected reply is logged before the connection ends", () =>
    logged(LogLevel.Trace, (entries) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const fibers = yield* Scripted.start([connection.delete("1"), connection.touch("2")])
        yield* peer.expect("delete 1\r\ntouch 2\r\n")
        yield* peer.say("TOUCHED\r\nTOUCHED\r\n")
        yield* Scripted.endings(fibers)
        assert.deepStrictEqual(lines(entries).slice(2), ["> delete 1", "> touch 2", "< TOUCHED"])
      })))

  it.scoped("a command that waits, or is cancelled before it is written, is not logged as sent", () =>
    logged(LogLevel.Trace, (entries) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open({ maxInFlight: 1 })
        yield* Scripted.start([connection.touch("1"), connection.touch("2")])
        yield* peer.expect("touch 1\r\n")
        assert.deepStrictEqual(lines(entries).slice(2), ["> touch 1"])
        yield* peer.say("TOUCHED\r\n")
        yield* peer.expect("touch 2\r\n")
        assert.deepStrictEqual(lines(entries).slice(2), ["> touch 1", "< TOUCHED", "> touch 2"])
      })))

  it.scoped("each line is annotated with the server and the connection", () =>
    logged(LogLevel.Trace, (entries) =>
      Effect.gen(function*() {
        const [connection] = yield* Scripted.open({ name: "producer" })
        assert.isAbove(entries.length, 0)
        for (const { annotations } of entries) {
          assert.deepStrictEqual(annotations, {
            package: "effect-beanstalk",
            module: "BeanstalkConnection",
            "beanstalkd.address": "memory:11300",
            "beanstalkd.connection": "producer"
          })
        }
        const shown = inspect(connection)
        for (const text of [shown, JSON.stringify(connection), String(connection)]) {
          assert.include(text, "producer")
          assert.include(text, "memory:11300")
        }
      })))

  it.scoped("a line of a connection without a name is annotated with the server alone", () =>
    logged(LogLevel.Trace, (entries) =>
      Effect.gen(function*() {
        const [connection] = yield* Scripted.open()
        assert.deepStrictEqual(entries[0]?.annotations, {
          package: "effect-beanstalk",
          module: "BeanstalkConnection",
          "beanstalkd.address": "memory:11300"
        })
        assert.isUndefined(connection.name)
      })))
})

describe("below Trace", () => {
  /** How many fibers were started until now, that of this call included. */
  const fibersStarted = () => FiberId.unsafeMake().id

  /** How many fibers are started for a reply. */
  const fibersPerReply = Effect.gen(function*() {
    const [connection, peer] = yield* Scripted.open()
    yield* Scripted.start([connection.touch("1"), connection.touch("2")])
    yield* peer.expect("touch 1\r\ntouch 2\r\n")
    const before = fibersStarted()
    peer.sayNow("TOUCHED\r\n")
    return fibersStarted() - before - 1
  })

  it.scoped.each([LogLevel.Debug, LogLevel.Info, LogLevel.None])(
    "nothing is logged: $label",
    (level) =>
      logged(level, (entries) =>
        Effect.gen(function*() {
          const [connection, peer] = yield* Scripted.open()
          assert.deepStrictEqual(yield* session(connection, peer), [
            "Success",
            "Success",
            "Success",
            "JobNotFound",
            "Success",
            "Success"
          ])
          yield* peer.say("nonsense\r\n")
          yield* peer.closed
          const [, reset] = yield* Scripted.open()
          yield* reset.reset
          yield* reset.closed
          yield* Scripted.turn
          assert.deepStrictEqual(lines(entries), [])
        }))
  )

  it.scoped("no fiber is started for tracing", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* logged(LogLevel.Debug, () => fibersPerReply), 0)
      assert.isAbove(yield* logged(LogLevel.Trace, () => fibersPerReply), 0)
    }))
})

describe("a logger that throws", () => {
  /** Runs an Effect with a logger that can be made to throw, and asserts that no exception is uncaught. */
  const sabotaged = <A, E, R>(self: (sabotage: Effect.Effect<void>) => Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const uncaught: Array<unknown> = []
      const note = (error: unknown) => uncaught.push(error)
      const events = ["uncaughtException", "unhandledRejection"]
      for (const event of events) process.on(event, note)
      yield* Effect.addFinalizer(() => Effect.sync(() => events.forEach((event) => process.off(event, note))))
      let isBroken = false
      const logger = Logger.make(() => {
        if (isBroken) throw new Error("the log is full")
      })
      yield* self(Effect.sync(() => void (isBroken = true))).pipe(
        Effect.ensuring(Effect.sync(() => void (isBroken = false))),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.Trace)
      )
      yield* Scripted.turn
      assert.deepStrictEqual(uncaught, [])
    })

  /** A failed fiber would be logged as well: these succeed with their exits instead. */
  const succeed = (fibers: ReadonlyArray<Fiber.Fiber<Exit.Exit<unknown, unknown>>>) =>
    Effect.forEach(
      fibers,
      (fiber) => Effect.map(Fiber.join(fiber), (exit) => assert.strictEqual(Scripted.ending(exit), "Success"))
    )

  it.scoped("while a reply is received throws nothing into the socket, and the connection goes on", () =>
    sabotaged((sabotage) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open({ maxInFlight: 2 })
        const fibers = yield* Scripted.start(
          [connection.touch("1"), connection.touch("2"), connection.touch("3")].map(Effect.exit)
        )
        yield* peer.expect("touch 1\r\ntouch 2\r\n")
        yield* sabotage
        yield* peer.say("TOUCHED\r\nTOUCHED\r\n")
        yield* peer.expect("touch 3\r\n")
        yield* peer.say("TOUCHED\r\n")
        yield* succeed(fibers)
      })
    ))

  it.scoped("while a command is written leaves nothing uncaught, and the connection goes on", () =>
    sabotaged((sabotage) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        yield* sabotage
        const fibers = yield* Scripted.start([connection.touch("1"), connection.touch("2")].map(Effect.exit))
        yield* Effect.fork(Effect.forever(Effect.zipRight(peer.line, peer.say("TOUCHED\r\n"))))
        yield* succeed(fibers)
      })
    ))

  it.scoped("while the server closes for a quit leaves nothing uncaught", () =>
    sabotaged((sabotage) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const fibers = yield* Scripted.start([Effect.exit(connection.quit)])
        yield* peer.expect("quit\r\n")
        yield* sabotage
        yield* peer.hangUp
        yield* succeed(fibers)
        yield* peer.closed
      })
    ))

  it.scopedLive("on a real socket leaves nothing uncaught", () =>
    sabotaged((sabotage) =>
      Effect.gen(function*() {
        const server = yield* Scripted.onLoopback
        const [connection, peer] = yield* Scripted.connect(server)
        const fibers = yield* Scripted.start([Effect.exit(connection.touch("1"))])
        yield* peer.expect("touch 1\r\n")
        yield* sabotage
        yield* peer.say("TOUCHED\r\n")
        yield* succeed(fibers)
      })
    ))
})

describe("a clock that throws", () => {
  /** Throws when it is asked for the time. */
  class BrokenClock {
    isBroken = false
    readonly clock = new Proxy(Clock.make(), {
      get: (clock, key, receiver) => {
        if (this.isBroken && key === "unsafeCurrentTimeNanos") throw new Error("the clock stands still")
        return Reflect.get(clock, key, receiver)
      }
    })
  }

  it.scopedLive("while a reply is received throws nothing into the socket, and ends the connection", () =>
    Effect.suspend(() => {
      const broken = new BrokenClock()
      return Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const fibers = yield* Scripted.start([connection.touch("1"), connection.touch("2")])
        yield* peer.expect("touch 1\r\ntouch 2\r\n")
        broken.isBroken = true
        yield* peer.say("TOUCHED\r\n")
        broken.isBroken = false
        assert.deepStrictEqual(yield* Scripted.endings(fibers), ["Success", "ConnectionLost Unknown"])
        assert.include((yield* Effect.flip(Fiber.join(fibers[1]))).message, "an exception was thrown")
        yield* peer.closed
      }).pipe(Effect.withClock(broken.clock))
    }))
})
