/** Commands that the server refuses, and those that are not sent. */
import { assert, layer } from "@effect/vitest"
import { type BeanstalkConnection, type BeanstalkError, BeanstalkProtocol } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import {
  eventually,
  failsWith,
  failureOf,
  idOf,
  newTube,
  openOwnTube,
  openRaw,
  openTo
} from "../support/connections.ts"
import { valid } from "../support/replies.ts"
import { Beanstalkd, ListeningBeanstalkd } from "../support/server.ts"
import { describeContract, describeListening } from "../support/servers.ts"

/** An id that no server of these tests reaches. */
const nobody = "18446744073709551615"

describeContract("what a server refuses", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("what does not exist", (it) => {
    type Refused = (beanstalk: BeanstalkConnection.Connection) => Effect.Effect<unknown, BeanstalkError.ReleaseError>

    const aboutJobs: Readonly<Record<string, Refused>> = {
      "reserve-job": (beanstalk) => beanstalk.reserveJob(nobody),
      "delete": (beanstalk) => beanstalk.delete(nobody),
      "release": (beanstalk) => beanstalk.release(nobody, { priority: 0 }),
      "bury": (beanstalk) => beanstalk.bury(nobody, 0),
      "touch": (beanstalk) => beanstalk.touch(nobody),
      "peek": (beanstalk) => beanstalk.peek(nobody),
      "kick-job": (beanstalk) => beanstalk.kickJob(nobody),
      "stats-job": (beanstalk) => beanstalk.statsJob(nobody)
    }
    for (const [name, run] of Object.entries(aboutJobs)) {
      it.scoped(`${name} of a job that does not exist fails with JobNotFound, which has the id`, () =>
        Effect.gen(function*() {
          const { beanstalk } = yield* openOwnTube()
          const error = yield* failsWith(run(beanstalk), "JobNotFound")
          assert.deepStrictEqual([error.command, String(error.id), error.address], [name, nobody, beanstalk.address])
          assert.include(error.message, nobody)
        }))
    }

    it.scoped("statsTube and pauseTube of a tube that does not exist fail with TubeNotFound, and do not make one", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = yield* newTube
        const stats = yield* failsWith(beanstalk.statsTube(tube), "TubeNotFound")
        const pause = yield* failsWith(beanstalk.pauseTube(tube, "1 second"), "TubeNotFound")
        assert.deepStrictEqual([stats.command, String(stats.tube)], ["stats-tube", tube])
        assert.deepStrictEqual([pause.command, String(pause.tube)], ["pause-tube", tube])
        assert.notInclude(yield* beanstalk.listTubes, tube)
      }))

    it.scoped("the largest possible id is sent unchanged, and the next number is an InvalidArgument", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* failsWith(beanstalk.peek(nobody), "JobNotFound")
        yield* failsWith(beanstalk.peek("18446744073709551616"), "InvalidArgument")
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("an argument that cannot be", (it) => {
    type Refused = (beanstalk: BeanstalkConnection.Connection) => Effect.Effect<unknown, BeanstalkError.BeanstalkError>

    const refused: Readonly<Record<string, readonly [argument: string, run: Refused]>> = {
      "put with a negative priority": ["priority", (beanstalk) => beanstalk.put("x", { priority: -1 })],
      "put with a priority of 2^32": ["priority", (beanstalk) => beanstalk.put("x", { priority: 2 ** 32 })],
      "put with a fraction as priority": ["priority", (beanstalk) => beanstalk.put("x", { priority: 0.5 })],
      "put with NaN as priority": ["priority", (beanstalk) => beanstalk.put("x", { priority: Number.NaN })],
      "put with a negative delay": ["delay", (beanstalk) => beanstalk.put("x", { delay: "-1 seconds" })],
      "put with an endless delay": ["delay", (beanstalk) => beanstalk.put("x", { delay: Number.POSITIVE_INFINITY })],
      "put with a ttr beyond 2^32": ["ttr", (beanstalk) => beanstalk.put("x", { ttr: "4294967296 seconds" })],
      "put into a tube that cannot be": ["tube", (beanstalk) => beanstalk.put("x", { tube: "a b" })],
      "use of no name": ["tube", (beanstalk) => beanstalk.use("")],
      "use of a name with a hyphen in front": ["tube", (beanstalk) => beanstalk.use("-tube")],
      "watch of a name of 201 bytes": ["tube", (beanstalk) => beanstalk.watch("t".repeat(201))],
      "ignore of a name with a line end": ["tube", (beanstalk) => beanstalk.ignore("tube\r\n")],
      "reserve with a timeout of 2^31 seconds": [
        "timeout",
        (beanstalk) => beanstalk.reserveWithTimeout("2147483648 seconds")
      ],
      "reserve-job of no id": ["id", (beanstalk) => beanstalk.reserveJob("")],
      "delete of a negative id": ["id", (beanstalk) => beanstalk.delete("-1")],
      "touch of an id with an exponent": ["id", (beanstalk) => beanstalk.touch("1e3")],
      "peek of two ids": ["id", (beanstalk) => beanstalk.peek("1 2")],
      "kick-job of an id with a line end": ["id", (beanstalk) => beanstalk.kickJob("1\n")],
      "stats-job of a word": ["id", (beanstalk) => beanstalk.statsJob("all")],
      "release with a negative priority": ["priority", (beanstalk) => beanstalk.release("1", { priority: -1 })],
      "release with a negative delay": ["delay", (beanstalk) => beanstalk.release("1", { priority: 0, delay: -1 })],
      "bury with NaN as priority": ["priority", (beanstalk) => beanstalk.bury("1", Number.NaN)],
      "kick of fewer than none": ["bound", (beanstalk) => beanstalk.kick(-1)],
      "kick in a tube that cannot be": ["tube", (beanstalk) => beanstalk.kick(1, { tube: "é" })],
      "peek-ready in a tube that cannot be": ["tube", (beanstalk) => beanstalk.peekReady({ tube: "\0" })],
      "stats-tube of a tube that cannot be": ["tube", (beanstalk) => beanstalk.statsTube("a\u2028b")],
      "pause-tube for less than nothing": ["duration", (beanstalk) => beanstalk.pauseTube("default", -1)]
    }
    for (const [name, [argument, run]] of Object.entries(refused)) {
      it.scoped(`${name} fails with InvalidArgument, and nothing is sent`, () =>
        Effect.gen(function*() {
          const { beanstalk } = yield* openOwnTube()
          const counters = Effect.map(
            beanstalk.stats,
            (stats) => Object.entries({ ...stats, cmdStats: 0 }).filter(([name]) => /^(cmd|total)[A-Z]/.test(name))
          )
          const before = yield* counters
          const error = yield* failsWith(run(beanstalk), "InvalidArgument")
          assert.strictEqual(error.argument, argument)
          assert.deepStrictEqual(yield* counters, before)
        }))
    }
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a server that cannot do what it is asked", (it) => {
    it.scoped("in drain mode put fails with Draining, and every other command succeeds", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const beanstalk = yield* openTo(server)
        const id = yield* beanstalk.put("before")
        yield* server.drain
        const { draining } = yield* eventually(beanstalk.stats, (stats) => stats.draining === true)
        assert.isTrue(draining)
        const error = yield* failsWith(beanstalk.put("after"), "Draining")
        assert.strictEqual(error.command, "put")
        assert.strictEqual((yield* beanstalk.reserve).id, id)
        yield* beanstalk.release(id, { priority: 0 })
        assert.strictEqual((yield* beanstalk.reserve).id, id)
        yield* beanstalk.delete(id)
      }))

    it.scoped("without room for another job put fails with OutOfMemory, until there is room again", () =>
      Effect.gen(function*() {
        const { makeRoom, server } = yield* kind.startFull
        const beanstalk = yield* openTo(server)
        const error = yield* failsWith(beanstalk.put("too much"), "OutOfMemory")
        assert.strictEqual(error.command, "put")
        yield* makeRoom
        const id = yield* beanstalk.put("there is room again")
        assert.strictEqual((yield* beanstalk.statsJob(id)).state, "ready")
      }))

    it.scoped.runIf(kind.canFillQueues)(
      "without room in the queues put and release fail with Buried: the job exists",
      () =>
        Effect.gen(function*() {
          const server = yield* kind.start()
          const beanstalk = yield* openTo(server)
          const held = yield* beanstalk.put("held")
          yield* beanstalk.reserve
          yield* server.fillQueues
          const buriedByPut = yield* failsWith(beanstalk.put(""), "Buried")
          assert.strictEqual((yield* beanstalk.statsJob(buriedByPut.id)).state, "buried")
          const buriedByRelease = yield* failsWith(beanstalk.release(held, { priority: 0 }), "Buried")
          assert.strictEqual(buriedByRelease.id, held)
          assert.strictEqual((yield* beanstalk.statsJob(held)).state, "buried")
          yield* beanstalk.reserveJob(held)
          yield* beanstalk.bury(held, 0)
        })
    )
  })
})

describeListening("what a server refuses", (kind) => {
  layer(ListeningBeanstalkd.layer(kind, { maxJobSize: 10 }), { excludeTestServices: true })("too big a body", (it) => {
    it.scoped("fails with JobTooBig and the server's limit, and nothing is sent", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const before = yield* beanstalk.stats
        const error = yield* failsWith(beanstalk.put("eleven byte"), "JobTooBig")
        assert.deepStrictEqual([error.size, error.limit], [11, 10])
        const after = yield* beanstalk.stats
        assert.strictEqual(after.cmdPut, before.cmdPut)
        yield* beanstalk.put("ten bytes!")
      }))

    it.scoped("is counted in bytes", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* beanstalk.put("ééééé")
        const error = yield* failsWith(beanstalk.put("éééééé"), "JobTooBig")
        assert.strictEqual(error.size, 12)
      }))

    it.scoped("fails with JobTooBig when the server answers that, and later commands get their own replies", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const command = valid(BeanstalkProtocol.put("eleven byte"))
        const failure = failureOf(command, yield* raw.ask(BeanstalkProtocol.encode([command])))
        assert(failure?.error._tag === "JobTooBig")
        assert.deepStrictEqual([failure.error.size, failure.error.limit, failure.fatal], [11, undefined, false])
        assert.deepStrictEqual(yield* raw.ask("watch default\r\n"), { _tag: "Watching", count: 1 })
      }))

    it.scoped("is read by the server to its end, in any number of pieces", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const raw = yield* openRaw(server)
        yield* raw.say("put 0 0 60 25\r\nuse one\r\n")
        // The reply to another command proves that what was sent before has arrived.
        yield* idOf(server)
        const reply = yield* raw.ask("use two\r\nuse six\r\n")
        assert.strictEqual(reply._tag, "JobTooBig")
        assert.deepStrictEqual(yield* raw.ask("watch default\r\n"), { _tag: "Watching", count: 1 })
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("what the encoder never sends", (it) => {
    const put = valid(BeanstalkProtocol.put("x"))
    const use = valid(BeanstalkProtocol.use("default"))
    const touch = valid(BeanstalkProtocol.touch("1"))

    it.scoped("a body of another length than announced is ExpectedCRLF, and fatal for the connection", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const failure = failureOf(put, yield* raw.ask("put 0 0 60 1\r\nxyz"))
        assert.strictEqual(failure?.error._tag, "ExpectedCRLF")
        assert.isTrue(failure?.fatal)
      }))

    const malformed: ReadonlyArray<string> = [
      "put -1 0 60 1",
      "put 4294967296 0 60 1",
      "put 0 1.5 60 1",
      "put 0 0 60 4294967296",
      "put 0 0 60"
    ]
    for (const line of malformed) {
      it.scoped(`"${line}" is BadFormat, its body is read as a command, and it is fatal for the connection`, () =>
        Effect.gen(function*() {
          const raw = yield* openRaw(yield* ListeningBeanstalkd)
          const failure = failureOf(put, yield* raw.ask(`${line}\r\nuse default\r\n`))
          assert.strictEqual(failure?.error._tag, "BadFormat")
          assert.isTrue(failure?.fatal)
          const stray = use.decode(yield* raw.hear, "the server")
          assert.strictEqual(stray._tag, "Success")
        }))
    }

    const elsewhere: ReadonlyArray<string> = ["touch -1", "touch ", "touch 1 2", "touch 18446744073709551616"]
    for (const line of elsewhere) {
      it.scoped(`"${line}" is BadFormat, and later commands get their own replies`, () =>
        Effect.gen(function*() {
          const raw = yield* openRaw(yield* ListeningBeanstalkd)
          const failure = failureOf(touch, yield* raw.ask(`${line}\r\n`))
          assert.strictEqual(failure?.error._tag, "BadFormat")
          assert.isFalse(failure?.fatal)
          assert.strictEqual(use.decode(yield* raw.ask("use default\r\n"), "the server")._tag, "Success")
        }))
    }

    it.scoped("a timeout beyond 2^63 seconds is BadFormat", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const reserve = valid(BeanstalkProtocol.reserveWithTimeout(0))
        const failure = failureOf(reserve, yield* raw.ask("reserve-with-timeout 9223372036854775808\r\n"))
        assert.strictEqual(failure?.error._tag, "BadFormat")
      }))

    it.scoped("a line of more than 224 bytes is BadFormat", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const failure = failureOf(use, yield* raw.ask(`use ${"x".repeat(300)}\r\n`))
        assert.strictEqual(failure?.error._tag, "BadFormat")
      }))

    it.scoped("a command the server does not know is UnknownCommand", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const failure = failureOf(touch, yield* raw.ask("Touch 1\r\n"))
        assert(failure?.error._tag === "UnknownCommand")
        assert.isFalse(failure.fatal)
        assert.include(failure.error.message, "it needs beanstalkd 1.2 or later")
      }))

    it.scoped("the longest possible command is accepted", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = "t".repeat(200)
        const duration = `${2 ** 32 - 1} seconds` as const
        const command = valid(BeanstalkProtocol.pauseTube(tube, duration))
        assert.strictEqual(BeanstalkProtocol.encode([command]).length, 224)
        assert.strictEqual((yield* failsWith(beanstalk.pauseTube(tube, duration), "TubeNotFound")).tube.length, 200)
        yield* beanstalk.use(tube)
        yield* beanstalk.pauseTube(tube, duration)
        assert.strictEqual((yield* beanstalk.statsTube(tube)).pause, 2 ** 32 - 1)
      }))
  })
})
