/**
 * A fiber can be interrupted at any moment. Each command still gets its own reply, and every reserved job has a fiber that knows of
 * it, or else the connection is closed and the server has made the job ready again.
 */
import { assert, describe, it } from "@effect/vitest"
import type { BeanstalkConnection, BeanstalkError, Job } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as TestClock from "effect/TestClock"
import { amount, sample, seed, upTo } from "../support/edition.ts"
import * as Scripted from "../support/scripted.ts"
import { Stepping } from "../support/stepping.ts"

type Connection = BeanstalkConnection.Connection

interface Reserve {
  readonly request: string
  readonly reserve: (connection: Connection) => Effect.Effect<Job.ReservedJob, BeanstalkError.BeanstalkError>
}

const waiting: ReadonlyArray<Reserve> = [
  { request: "reserve", reserve: (connection) => connection.reserve },
  { request: "reserve-with-timeout 5", reserve: (connection) => connection.reserveWithTimeout("5 seconds") }
]

const prompt: ReadonlyArray<Reserve & { readonly without: ReadonlyArray<string> }> = [
  {
    request: "reserve-with-timeout 0",
    reserve: (connection) => connection.reserveWithTimeout(0),
    without: ["TIMED_OUT", "DEADLINE_SOON", "OUT_OF_MEMORY"]
  },
  {
    request: "reserve-job 7",
    reserve: (connection) => connection.reserveJob("7"),
    without: ["NOT_FOUND", "OUT_OF_MEMORY"]
  }
]

const reserves = [...waiting, ...prompt]

const aJob = "RESERVED 7 3\r\nabc\r\n"

/** Asserts that a connection still works, and that its replies belong to its commands. */
const stillWorks = (connection: Connection, peer: Scripted.Peer) =>
  Effect.gen(function*() {
    const [watching] = yield* Scripted.start([connection.watch("t")])
    yield* peer.expect("watch t\r\n")
    yield* peer.say("WATCHING 4321\r\n")
    assert.strictEqual(yield* Fiber.join(watching), 4321)
  })

describe("a command that is not written yet", () => {
  it.scoped("is never sent", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 1 })
      const [first, second, third] = yield* Scripted.start([
        connection.touch("1"),
        connection.touch("2"),
        connection.touch("3")
      ])
      yield* peer.expect("touch 1\r\n")
      yield* Fiber.interrupt(second)
      yield* peer.say("TOUCHED\r\n")
      yield* peer.expect("touch 3\r\n")
      yield* peer.say("TOUCHED\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([first, second, third]), ["Success", "Interrupted", "Success"])
      yield* stillWorks(connection, peer)
    }))

  it.scoped("is never sent if it is interrupted in the tick in which it was submitted", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [putting] = yield* Scripted.start([connection.put("x", { tube: "a" })])
      yield* Fiber.interrupt(putting)
      yield* stillWorks(connection, peer)
    }))

  it.scoped.each(reserves)(
    "does not close the connection, even if it is a reserve: $request",
    ({ reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open({ maxInFlight: 1 })
        const [touching, reserving] = yield* Scripted.start([connection.touch("1"), reserve(connection)])
        yield* peer.expect("touch 1\r\n")
        yield* Fiber.interrupt(reserving)
        yield* peer.say("TOUCHED\r\n")
        yield* Fiber.join(touching)
        yield* stillWorks(connection, peer)
      })
  )
})

describe("a command that is written", () => {
  it.scoped("has its reply dropped, and the other commands get theirs", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const fibers = yield* Scripted.start([connection.kick(1), connection.peek("2"), connection.kick(3)])
      yield* peer.expect("kick 1\r\npeek 2\r\nkick 3\r\n")
      yield* Fiber.interrupt(fibers[1])
      yield* peer.say("KICKED 1111\r\nFOUND 2 8\r\nKICKED 9\r\nKICKED 3333\r\n", 1)
      assert.deepStrictEqual(yield* Scripted.endings(fibers), ["Success", "Interrupted", "Success"])
      assert.strictEqual(yield* Fiber.join(fibers[0]), 1111)
      assert.strictEqual(yield* Fiber.join(fibers[2]), 3333)
      yield* stillWorks(connection, peer)
    }))

  it.scoped("is interrupted without waiting for its reply", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [touching] = yield* Scripted.start([connection.touch("1")])
      yield* peer.expect("touch 1\r\n")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(touching)))
      assert.isFalse(peer.isClosed)
    }))

  it.scoped("has its error dropped, unless that error ends the connection", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [deleting, putting, touching] = yield* Scripted.start([
        connection.delete("1"),
        connection.put("x"),
        connection.touch("3")
      ])
      yield* peer.expect("delete 1\r\nput 1024 0 60 1\r\nx\r\ntouch 3\r\n")
      yield* Fiber.interruptAll([deleting, putting])
      yield* peer.say("NOT_FOUND\r\n")
      yield* Scripted.turn
      assert.isFalse(peer.isClosed)
      yield* peer.say("EXPECTED_CRLF\r\n")
      assert.deepStrictEqual(yield* Scripted.endings([touching]), ["ConnectionLost Unknown"])
      yield* peer.closed
    }))

  it.scoped("that names a tube does not change the tube of the next command", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [putting, using] = yield* Scripted.start([connection.put("x", { tube: "a" }), connection.use("b")])
      yield* peer.expect("use a\r\nput 1024 0 60 1\r\nx\r\nuse b\r\n")
      yield* Fiber.interruptAll([putting, using])
      yield* peer.say("USING a\r\nINSERTED 1\r\nUSING b\r\n")
      yield* Scripted.start([connection.put("y"), connection.put("z", { tube: "a" })])
      yield* peer.expect("put 1024 0 60 1\r\ny\r\nuse a\r\nput 1024 0 60 1\r\nz\r\n")
    }))

  it.scoped("in an uninterruptible region gets its reply", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      for (const { request, reserve } of reserves) {
        let held: string | undefined
        const [reserving] = yield* Scripted.start([
          Effect.uninterruptible(Effect.map(reserve(connection), (job) => held = job.id))
        ])
        yield* peer.expect(`${request}\r\n`)
        yield* Fiber.interruptFork(reserving)
        assert.isTrue(yield* Scripted.isPending(reserving))
        yield* peer.say(aJob)
        yield* Fiber.await(reserving)
        assert.strictEqual(held, "7")
        assert.isFalse(peer.isClosed)
      }
      yield* stillWorks(connection, peer)
    }))
})

describe("each reply reaches its own command", () => {
  it.scoped("while fibers are interrupted at random, and replies arrive in pieces of any size", () =>
    Effect.gen(function*() {
      const random = Random.make(seed)
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 300 })
      let interrupted = 0
      for (const atOnce of sample([1, 2, 10, 100, 1000, 1000, 1000], 4)) {
        for (let round = 0; round < 1000 / atOnce; round += 1) {
          const numbers = Array.range(1, atOnce)
          const answering = yield* Effect.fork(
            Effect.forever(
              Effect.flatMap(
                peer.line,
                (line) =>
                  Effect.flatMap(
                    random.nextIntBetween(1, 20),
                    (size) => peer.say(`KICKED ${line.split(" ")[1]!.trim()}\r\n`, size)
                  )
              )
            )
          )
          const fibers = yield* Scripted.start(numbers.map((n) => connection.kick(n)))
          for (const fiber of fibers) {
            if (yield* random.nextBoolean) yield* Fiber.interruptFork(fiber)
            if ((yield* random.nextIntBetween(0, 50)) === 0) yield* Effect.yieldNow()
          }
          const exits = yield* Effect.forEach(fibers, Fiber.await)
          for (const [i, exit] of exits.entries()) {
            if (Exit.isSuccess(exit)) assert.strictEqual(exit.value, numbers[i])
            else assert.isTrue(Exit.isInterrupted(exit), String(exit))
          }
          interrupted += exits.filter(Exit.isFailure).length
          const [last] = yield* Scripted.start([connection.kick(4321)])
          assert.strictEqual(yield* Fiber.join(last), 4321)
          yield* Fiber.interrupt(answering)
        }
      }
      assert.isAbove(interrupted, amount(700, 1000))
      assert.isFalse(peer.isClosed)
    }))
})

describe("a blocking reserve", () => {
  it.scoped.each(waiting)(
    "closes the connection when it is interrupted: $request",
    ({ request, reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open({ maxInFlight: 3 })
        const [touching, reserving, ...others] = yield* Scripted.start([
          connection.touch("1"),
          reserve(connection),
          connection.touch("2"),
          connection.touch("3")
        ])
        yield* peer.expect(`touch 1\r\n${request}\r\ntouch 2\r\n`)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(reserving)))
        assert.deepStrictEqual(yield* Scripted.endings([touching, ...others]), [
          "ConnectionLost Unknown",
          "ConnectionLost Unknown",
          "ConnectionLost NotSent"
        ])
        yield* peer.closed
        const error = yield* Effect.flip(connection.touch("4"))
        assert.strictEqual(error._tag, "ConnectionLost")
        assert.include(error.message, request.split(" ")[0]!)
        assert.include(error.message, "interrupted")
      })
  )

  it.scoped.each(waiting)(
    "closes the connection when Effect.timeout interrupts it: $request",
    ({ request, reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const [reserving] = yield* Scripted.start([Effect.timeoutOption(reserve(connection), "2 seconds")])
        yield* peer.expect(`${request}\r\n`)
        yield* TestClock.adjust("2 seconds")
        assert.isTrue(Option.isNone(yield* Fiber.join(reserving)))
        yield* peer.closed
      })
  )

  it.scoped.each(waiting)(
    "closes the connection when it loses a race: $request",
    ({ request, reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const won = yield* Effect.makeLatch()
        const [racing] = yield* Scripted.start([Effect.raceFirst(reserve(connection), won.await)])
        yield* peer.expect(`${request}\r\n`)
        yield* won.open
        yield* Fiber.join(racing)
        yield* peer.closed
      })
  )
})

describe("a reserve that does not block", () => {
  it.scoped.each(prompt)("leaves the connection open when it is interrupted and its reply is no job: $request", (
    { request, reserve, without }
  ) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      for (const reply of without) {
        const [reserving] = yield* Scripted.start([reserve(connection)])
        yield* peer.expect(`${request}\r\n`)
        yield* Fiber.interrupt(reserving)
        yield* Scripted.turn
        yield* peer.say(`${reply}\r\n`)
        yield* stillWorks(connection, peer)
      }
    }))

  it.scoped.each(prompt)("closes the connection when it is interrupted and its reply is a job: $request", (
    { request, reserve }
  ) =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open({ maxInFlight: 2 })
      const [reserving, ...others] = yield* Scripted.start([
        reserve(connection),
        connection.touch("2"),
        connection.touch("3")
      ])
      yield* peer.expect(`${request}\r\ntouch 2\r\n`)
      yield* Fiber.interrupt(reserving)
      yield* Scripted.turn
      assert.isFalse(peer.isClosed)
      yield* peer.say(aJob.slice(0, -1))
      yield* Scripted.turn
      assert.isFalse(peer.isClosed)
      yield* peer.say("\n")
      assert.deepStrictEqual(yield* Scripted.endings(others), ["ConnectionLost Unknown", "ConnectionLost NotSent"])
      yield* peer.closed
    }))
})

describe("a reply that arrives before its fiber is interrupted, which has not run since", () => {
  /** Sends a reply and interrupts a fiber in the same turn, so that the fiber runs no step in between. */
  const sayAndInterrupt = (peer: Scripted.Peer, text: string, fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
    Effect.sync(() => {
      peer.sayNow(text)
      fiber.unsafeInterruptAsFork(FiberId.none)
    })

  it.scoped.each(reserves)(
    "closes the connection when it is a job: $request",
    ({ request, reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const [reserving, touching] = yield* Scripted.start([reserve(connection), connection.touch("2")])
        yield* peer.expect(`${request}\r\ntouch 2\r\n`)
        yield* sayAndInterrupt(peer, aJob, reserving)
        assert.deepStrictEqual(yield* Scripted.endings([reserving, touching]), [
          "Interrupted",
          "ConnectionLost Unknown"
        ])
        yield* peer.closed
      })
  )

  it.scoped.each(reserves)(
    "leaves the connection open when it is no job: $request",
    ({ request, reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        const [reserving] = yield* Scripted.start([reserve(connection)])
        yield* peer.expect(`${request}\r\n`)
        yield* sayAndInterrupt(peer, "OUT_OF_MEMORY\r\n", reserving)
        assert.deepStrictEqual(yield* Scripted.endings([reserving]), ["Interrupted"])
        yield* stillWorks(connection, peer)
      })
  )

  it.scoped("leaves the connection open when the command is no reserve", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      const [peeking] = yield* Scripted.start([connection.peek("7")])
      yield* peer.expect("peek 7\r\n")
      yield* sayAndInterrupt(peer, "FOUND 7 3\r\nabc\r\n", peeking)
      assert.deepStrictEqual(yield* Scripted.endings([peeking]), ["Interrupted"])
      yield* stillWorks(connection, peer)
    }))

  it.scoped.each(reserves)(
    "leaves the connection open when the fiber has run before it is interrupted: $request",
    ({ request, reserve }) =>
      Effect.gen(function*() {
        const [connection, peer] = yield* Scripted.open()
        let held: string | undefined
        const [working] = yield* Scripted.start([
          Effect.zipRight(Effect.map(reserve(connection), (job) => held = job.id), Effect.never)
        ])
        yield* peer.expect(`${request}\r\n`)
        yield* peer.say(aJob)
        yield* Scripted.turn
        assert.strictEqual(held, "7")
        yield* Fiber.interrupt(working)
        yield* stillWorks(connection, peer)
      })
  )
})

describe("an interruption after any number of steps", () => {
  /** Reserves jobs with every reserve command, one after the other, and records each job. */
  const working = (connection: Connection, held: Array<string>) => {
    const ways: ReadonlyArray<() => ReturnType<Reserve["reserve"]>> = [
      () => connection.reserve,
      () => connection.reserveWithTimeout("5 seconds"),
      () => connection.reserveWithTimeout(0),
      () => connection.reserveJob(`${held.length}`)
    ]
    return Effect.uninterruptibleMask((restore) =>
      Effect.forever(
        Effect.suspend(() => Effect.map(restore(ways[held.length % ways.length]!()), (job) => held.push(job.id)))
      )
    )
  }

  it.scoped.each(Scripted.waysToWrite)(
    "leaves no job reserved without a holder on an open connection: $writing",
    (writing) =>
      Effect.gen(function*() {
        const runtime = yield* Effect.runtime<never>()
        let [connection, peer] = yield* Scripted.open(writing)
        let opened = 1
        const cases = sample(upTo(500), 80)
        for (const k of cases) {
          const given: Array<string> = []
          const held: Array<string> = []
          const answering = yield* Effect.fork(
            Effect.forever(
              Effect.flatMap(peer.line, () => peer.say(`RESERVED ${given.push(`${given.length}`) - 1} 1\r\nx\r\n`))
            )
          )
          const scheduler = new Stepping(k, () => fiber.unsafeInterruptAsFork(FiberId.none))
          const fiber = Runtime.runFork(runtime)(working(connection, held), { scheduler, immediate: false })
          assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
          yield* Scripted.turn
          yield* Fiber.interrupt(answering)
          assert.isAbove(scheduler.steps, k)
          if (peer.isClosed) {
            ;[connection, peer] = yield* Scripted.open(writing)
            opened += 1
          } else {
            assert.deepStrictEqual(given, held, `interrupted before step ${k}`)
            yield* stillWorks(connection, peer)
          }
        }
        assert.isAbove(
          opened,
          cases.length / 10,
          "it was hardly ever interrupted while the server had an answer for it"
        )
        assert.isBelow(opened, cases.length * 9 / 10, "it was hardly ever interrupted without any harm")
      })
  )

  it.scoped("of a command that reserves nothing leaves the connection open, and later commands get their own replies", () =>
    Effect.gen(function*() {
      const [connection, peer] = yield* Scripted.open()
      for (const k of sample(upTo(500), 80)) {
        const answering = yield* Effect.fork(
          Effect.forever(Effect.flatMap(peer.line, (line) => peer.say(`KICKED ${line.slice(5, -2)}\r\n`)))
        )
        const runtime = yield* Effect.runtime<never>()
        const scheduler = new Stepping(k, () => fiber.unsafeInterruptAsFork(FiberId.none))
        let n = 0
        const kicking = Effect.forever(Effect.suspend(() => {
          const marker = n += 1
          return Effect.map(connection.kick(marker), (kicked) => assert.strictEqual(kicked, marker))
        }))
        const fiber = Runtime.runFork(runtime)(kicking, { scheduler, immediate: false })
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
        const [last] = yield* Scripted.start([connection.kick(4321)])
        assert.strictEqual(yield* Fiber.join(last), 4321)
        yield* Fiber.interrupt(answering)
      }
    }))
})
