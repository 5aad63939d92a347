/** Each behaviour of cl-beanstalk, the client for Common Lisp, in this library. */
import { assert, layer } from "@effect/vitest"
import { BeanstalkConnection, BeanstalkError, BeanstalkProtocol } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { inspect } from "node:util"
import {
  connectorTo,
  eventually,
  failsWith,
  failureOf,
  newTube,
  open,
  openOwnTube,
  openRaw,
  openTo,
  sent,
  traced
} from "../support/connections.ts"
import { valid } from "../support/replies.ts"
import { Beanstalkd, ListeningBeanstalkd } from "../support/server.ts"
import { describeContract, describeListening } from "../support/servers.ts"

describeContract("what cl-beanstalk can do", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("producing", (it) => {
    it.scoped("use: it succeeds with the tube's name", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        assert.strictEqual(String(yield* beanstalk.use("some-tube")), "some-tube")
      }))

    it.scoped("put: a string is encoded, octets go as they are, and the id comes back", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const text = yield* beanstalk.put("é", { priority: 1, delay: 0, ttr: "2 minutes" })
        const octets = yield* beanstalk.put(Uint8Array.of(0xe9), { priority: 2 })
        assert.deepStrictEqual([...(yield* beanstalk.peek(text)).body], [0xc3, 0xa9])
        assert.deepStrictEqual([...(yield* beanstalk.peek(octets)).body], [0xe9])
      }))

    it.scoped.runIf(kind.canFillQueues)(
      "buried-job: a put whose job is buried fails with the id of that job",
      () =>
        Effect.gen(function*() {
          const server = yield* kind.start()
          const beanstalk = yield* openTo(server)
          yield* server.fillQueues
          const id = yield* beanstalk.put("").pipe(Effect.catchTag("Buried", (buried) => Effect.succeed(buried.id)))
          assert.strictEqual((yield* Effect.flatten(beanstalk.peekBuried())).id, id)
        })
    )

    it.scoped("external-format: a body is bytes, UTF-8 text, or text in any encoding that TextDecoder knows", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put(Buffer.from("Größe", "latin1"))
        const peeked = yield* beanstalk.peek(id)
        const ready = yield* Effect.flatten(beanstalk.peekReady())
        const reserved = yield* beanstalk.reserve
        for (const job of [peeked, ready, reserved]) {
          assert.strictEqual(job.body.length, 5)
          assert.strictEqual(yield* job.text("latin1"), "Größe")
        }
      }))

    it.scoped("external-format: invalid text is a typed failure, or has replacement characters", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* beanstalk.put(Buffer.from("Größe", "latin1"))
        const job = yield* beanstalk.reserve
        const error = yield* failsWith(job.text(), "InvalidText")
        assert.deepStrictEqual([error.id, error.encoding, error.reason], [job.id, "utf-8", "NotText"])
        assert.strictEqual(yield* job.text("utf-8", { invalid: "replace" }), "Gr\uFFFD\uFFFDe")
        assert.strictEqual((yield* failsWith(job.text("klingon"), "InvalidText")).reason, "UnknownEncoding")
        yield* beanstalk.delete(job.id)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("working", (it) => {
    it.scoped("reserve: message and id, or :timed-out", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("message")
        const attempt = beanstalk.reserveWithTimeout(0).pipe(
          Effect.map((job) => job.id),
          Effect.catchTag("TimedOut", () => Effect.succeed("timed out"))
        )
        assert.strictEqual(yield* attempt, id)
        assert.strictEqual(yield* attempt, "timed out")
      }))

    it.scoped("reserve: :deadline-soon is a typed failure, after which the job can be touched", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("message", { ttr: "1 second" })
        const [, answer] = yield* Effect.all([
          beanstalk.reserve,
          beanstalk.reserve.pipe(
            Effect.as("reserved"),
            Effect.catchTag("DeadlineSoon", () => Effect.as(beanstalk.touch(id), "touched"))
          )
        ], { concurrency: "unbounded" })
        assert.strictEqual(answer, "touched")
      }))

    it.scoped("delete and touch: t or nil is Effect.isSuccess", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("message")
        yield* beanstalk.reserve
        const answers = yield* Effect.all([
          Effect.isSuccess(beanstalk.touch(id)),
          Effect.isSuccess(beanstalk.delete(id)),
          Effect.isSuccess(beanstalk.touch(id)),
          Effect.isSuccess(beanstalk.delete(id))
        ])
        assert.deepStrictEqual(answers, [true, true, false, false])
      }))

    it.scoped("release and bury: with a priority, and JobNotFound for a job that is not held", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("message", { priority: 1 })
        yield* failsWith(beanstalk.release(id, { priority: 2 }), "JobNotFound")
        yield* failsWith(beanstalk.bury(id, 2), "JobNotFound")
        assert.strictEqual((yield* beanstalk.statsJob(id)).pri, 1)
        yield* beanstalk.reserve
        yield* beanstalk.release(id, { priority: 3, delay: "1 hour" })
        assert.strictEqual((yield* beanstalk.statsJob(id)).pri, 3)
        yield* beanstalk.reserveJob(id)
        yield* beanstalk.bury(id, 4)
        assert.strictEqual((yield* beanstalk.statsJob(id)).pri, 4)
      }))

    it.scoped("watch and ignore: the count, or :not-ignored", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const other = yield* newTube
        assert.strictEqual(yield* beanstalk.watch(other), 2)
        assert.strictEqual(yield* beanstalk.ignore(tube), 1)
        assert.strictEqual(String((yield* failsWith(beanstalk.ignore(other), "NotIgnored")).tube), other)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("looking", (it) => {
    it.scoped("peek: message and id, or :not-found; the next ready, delayed or buried job, or none", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* failsWith(beanstalk.peek("18446744073709551615"), "JobNotFound")
        assert.deepStrictEqual(
          yield* Effect.all([beanstalk.peekReady(), beanstalk.peekDelayed(), beanstalk.peekBuried()]),
          [Option.none(), Option.none(), Option.none()]
        )
        const id = yield* beanstalk.put("message", { delay: "1 hour" })
        assert.strictEqual(yield* (yield* beanstalk.peek(id)).text(), "message")
        assert.strictEqual((yield* Effect.flatten(beanstalk.peekDelayed())).id, id)
      }))

    it.scoped("kick: the number of jobs kicked", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = yield* newTube
        yield* beanstalk.put("here", { delay: "1 hour" })
        yield* beanstalk.put("there", { delay: "1 hour", tube })
        yield* beanstalk.put("there", { delay: "1 hour", tube })
        assert.strictEqual(yield* beanstalk.kick(10), 1)
        assert.strictEqual(yield* beanstalk.kick(10, { tube }), 2)
        assert.strictEqual(yield* beanstalk.kick(10, { tube }), 0)
      }))

    it.scoped("list-tubes, list-tubes-watched, list-tube-used: names, and a tube called 123 stays a string", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open({ tube: "123", watch: ["123"] })
        assert.include([...yield* beanstalk.listTubes].map(String), "123")
        assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), ["123"])
        assert.strictEqual(String(yield* beanstalk.listTubeUsed), "123")
      }))

    it.scoped("stats, stats-tube, stats-job: typed, or :not-found", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const id = yield* beanstalk.put("message")
        assert.isAtLeast((yield* beanstalk.stats).totalJobs, 1)
        assert.strictEqual((yield* beanstalk.statsTube(tube)).currentJobsReady, 1)
        assert.strictEqual((yield* beanstalk.statsJob(id)).state, "ready")
        yield* failsWith(beanstalk.statsTube(yield* newTube), "TubeNotFound")
        yield* beanstalk.delete(id)
        yield* failsWith(beanstalk.statsJob(id), "JobNotFound")
      }))
  })
})

describeListening("what cl-beanstalk can do", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("connections", (it) => {
    it.scoped("connect and disconnect: closing the scope closes the connection, without a quit", () =>
      Effect.gen(function*() {
        const observer = yield* open()
        const { currentConnections } = yield* observer.stats
        const scope = yield* Scope.make()
        const { lines } = yield* traced(Scope.extend(open({ name: "short-lived" }), scope))
        yield* eventually(observer.stats, (stats) => stats.currentConnections === currentConnections + 1)
        yield* Scope.close(scope, Exit.void)
        yield* eventually(observer.stats, (stats) => stats.currentConnections === currentConnections)
        assert.notInclude(sent(lines), "quit")
      }))

    it.scoped("quit: is sent, and ends the connection", () =>
      Effect.gen(function*() {
        const { beanstalk, lines } = yield* traced(open())
        yield* beanstalk.quit
        assert.strictEqual(sent(lines).at(-1), "quit")
        const error = yield* failsWith(beanstalk.stats, "ConnectionLost")
        assert.strictEqual(error.outcome, "NotSent")
      }))

    it.scoped("with-beanstalk-connection: a scoped block has a connection that is closed when the block ends", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const { leaked, tube } = yield* Effect.gen(function*() {
          const beanstalk = yield* BeanstalkConnection.make()
          return { leaked: beanstalk, tube: yield* beanstalk.listTubeUsed }
        }).pipe(Effect.scoped, Effect.provide(connectorTo(server.target)))
        assert.strictEqual(String(tube), "default")
        yield* failsWith(leaked.listTubeUsed, "ConnectionLost")
      }))

    it.scoped("with-beanstalk-connection: a program has the connection of a Layer", () =>
      Effect.gen(function*() {
        const { target } = yield* ListeningBeanstalkd
        const { leaked, tube } = yield* Effect.gen(function*() {
          const beanstalk = yield* BeanstalkConnection.BeanstalkConnection
          return { leaked: beanstalk, tube: yield* beanstalk.listTubeUsed }
        }).pipe(Effect.provide(NodeBeanstalk.layerConnection(target)))
        assert.strictEqual(String(tube), "default")
        yield* failsWith(leaked.listTubeUsed, "ConnectionLost")
      }))

    it.scoped("a connection prints with its name and its server", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open({ name: "mailer" })
        for (const printed of [String(beanstalk), JSON.stringify(beanstalk), inspect(beanstalk)]) {
          assert.include(printed, "mailer")
          assert.include(printed, beanstalk.address)
        }
      }))

    it.scoped("a connection annotates its logs with its name and its server", () =>
      Effect.gen(function*() {
        const annotations: Array<unknown> = []
        const logger = Logger.make((entry) => void annotations.push(Object.fromEntries(entry.annotations)))
        const beanstalk = yield* open({ name: "mailer" }).pipe(
          Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
          Logger.withMinimumLogLevel(LogLevel.Trace)
        )
        assert.isNotEmpty(annotations)
        for (const found of annotations) {
          assert.deepStrictEqual(found, {
            package: "effect-beanstalk",
            module: "BeanstalkConnection",
            "beanstalkd.address": beanstalk.address,
            "beanstalkd.connection": "mailer"
          })
        }
      }))

    it.scoped("*debug-protocol*: at Trace every line sent and received is logged, bodies only as sizes", () =>
      Effect.gen(function*() {
        const { beanstalk, lines } = yield* traced(open())
        const opening = lines.length
        const id = yield* beanstalk.put("secret", { priority: 1 })
        yield* beanstalk.peek(id)
        yield* beanstalk.delete(id)
        yield* Effect.flip(beanstalk.touch(id))
        assert.deepStrictEqual(lines.slice(opening), [
          "> put 1 0 60 6 (6 bytes)",
          `< INSERTED ${id}`,
          `> peek ${id}`,
          `< FOUND ${id} (6 bytes)`,
          `> delete ${id}`,
          "< DELETED",
          `> touch ${id}`,
          "< NOT_FOUND"
        ])
      }))

    it.scoped("*debug-protocol*: nothing is logged when Trace is off", () =>
      Effect.gen(function*() {
        const logged: Array<unknown> = []
        const logger = Logger.make(({ message }) => void logged.push(message))
        yield* Effect.gen(function*() {
          const beanstalk = yield* open()
          yield* beanstalk.put("quiet")
        }).pipe(
          Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
          Logger.withMinimumLogLevel(LogLevel.Debug)
        )
        assert.deepStrictEqual(logged, [])
      }))

    it.scoped("this code can run on several worker processes at once: each job is reserved by one of them", () =>
      Effect.gen(function*() {
        const { beanstalk: producer, tube } = yield* openOwnTube()
        const workers = yield* Effect.replicateEffect(open({ watch: [tube] }), 4)
        const put = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, i) => `job ${i}`),
          (body) => producer.put(body),
          {
            concurrency: "unbounded"
          }
        )
        const work = (worker: BeanstalkConnection.Connection) =>
          Effect.gen(function*() {
            const done: Array<string> = []
            while (true) {
              const job = yield* Effect.option(worker.reserveWithTimeout(0))
              if (Option.isNone(job)) return done
              yield* worker.delete(job.value.id)
              done.push(job.value.id)
            }
          })
        const done = yield* Effect.forEach(workers, work, { concurrency: "unbounded" })
        assert.sameMembers(done.flat(), [...put].map(String))
        assert.strictEqual(done.flat().length, put.length)
        assert.isTrue(done.every((jobs) => jobs.length > 0))
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("conditions", (it) => {
    it.scoped("beanstalk-error: one guard accepts every error of this client, and no other", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const errors = yield* Effect.all([
          Effect.flip(beanstalk.peek("0")),
          Effect.flip(beanstalk.use("")),
          Effect.flip(beanstalk.reserveWithTimeout(0)),
          Effect.zipRight(beanstalk.quit, Effect.flip(beanstalk.stats))
        ])
        assert.deepStrictEqual(
          errors.map((error) => error._tag),
          ["JobNotFound", "InvalidArgument", "TimedOut", "ConnectionLost"]
        )
        assert.isTrue(errors.every(BeanstalkError.isBeanstalkError))
        assert.deepStrictEqual(errors.map(BeanstalkError.isConnectionError), [false, false, false, true])
        assert.deepStrictEqual(errors.map(BeanstalkError.isServerError), [false, false, false, false])
        assert.isFalse(BeanstalkError.isBeanstalkError(new Error("JobNotFound")))
      }))

    it.scoped("beanstalkd-out-of-memory: the restart Retry is Effect.retry while isRetryable", () =>
      Effect.gen(function*() {
        const { makeRoom, server } = yield* kind.startFull
        const beanstalk = yield* openTo(server)
        const full = yield* failsWith(beanstalk.put(new Uint8Array(1000)), "OutOfMemory")
        assert.isTrue(BeanstalkError.isServerError(full))
        const id = yield* beanstalk.put(new Uint8Array(1000)).pipe(
          Effect.tapErrorTag("OutOfMemory", () => makeRoom),
          Effect.retry({ while: BeanstalkError.isRetryable, times: 1 })
        )
        assert.strictEqual((yield* beanstalk.statsJob(id)).state, "ready")
      }))

    it.scoped("beanstalkd-draining: retryable, since another server, or this one later, may accept the job", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const beanstalk = yield* openTo(server)
        yield* server.drain
        yield* eventually(beanstalk.stats, (stats) => stats.draining === true)
        const error = yield* failsWith(beanstalk.put("message"), "Draining")
        assert.isTrue(BeanstalkError.isRetryable(error))
        const other = yield* open()
        const id = yield* beanstalk.put("message").pipe(
          Effect.catchIf(BeanstalkError.isRetryable, () => other.put("message"))
        )
        yield* other.delete(id)
      }))

    it.scoped("a lost connection: retryable if the command was not sent, and only then", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open()
        yield* beanstalk.quit
        const notSent = yield* failsWith(beanstalk.put("message"), "ConnectionLost")
        assert.strictEqual(notSent.outcome, "NotSent")
        assert.isTrue(BeanstalkError.isRetryable(notSent))
        const server = yield* kind.start()
        const { beanstalk: doomed, lines } = yield* traced(openTo(server))
        yield* server.freeze
        const putting = yield* Effect.fork(Effect.flip(doomed.put("message")))
        yield* eventually(Effect.sync(() => sent(lines)), (written) => written.at(-1)?.startsWith("put ") === true)
        yield* server.kill
        const unknown = yield* putting
        assert(unknown._tag === "ConnectionLost")
        assert.strictEqual(unknown.outcome, "Unknown")
        assert.isFalse(BeanstalkError.isRetryable(unknown))
      }))

    it.scoped("bad-message-format and expected-crlf: bugs of the client, and their messages ask for a report", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const put = valid(BeanstalkProtocol.put("x"))
        const touch = valid(BeanstalkProtocol.touch("1"))
        const expectedCrlf = failureOf(put, yield* raw.ask("put 0 0 60 1\r\nxyz"))?.error
        const badFormat = failureOf(touch, yield* raw.ask("touch one\r\n"))?.error
        assert.deepStrictEqual([expectedCrlf?._tag, badFormat?._tag], ["ExpectedCRLF", "BadFormat"])
        assert.include(expectedCrlf?.message, "a bug in effect-beanstalk: please report it")
        assert.include(badFormat?.message, "a bug in effect-beanstalk: please report it")
      }))

    it.scoped("unknown-command: carries the command, and the version that command needs", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const reply = yield* raw.ask("no-such-command 1\r\n")
        const error = failureOf(valid(BeanstalkProtocol.reserveJob("1")), reply)?.error
        assert(error?._tag === "UnknownCommand")
        assert.strictEqual(error.command, "reserve-job")
        assert.include(error.message, "older than this command (it needs beanstalkd 1.12 or later)")
      }))

    it.scoped("bad-reply: an unexpected reply is a ProtocolViolation that contains it", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const failure = failureOf(valid(BeanstalkProtocol.touch("1")), yield* raw.ask("list-tube-used\r\n"))
        assert(failure?.error._tag === "ProtocolViolation")
        assert.strictEqual(failure.error.reply, "USING default")
        assert.isTrue(failure.fatal)
      }))

    it.scoped("yaml-parsing-failed: unreadable statistics are a ProtocolViolation that names the line", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const failure = failureOf(BeanstalkProtocol.listTubes, yield* raw.ask("stats-tube default\r\n"))
        assert(failure?.error._tag === "ProtocolViolation")
        assert.match(failure.error.reply, /name: /)
        const other = failureOf(BeanstalkProtocol.stats, yield* raw.ask("stats-tube default\r\n"))
        assert(other?.error._tag === "ProtocolViolation")
        assert.match(other.error.reply, /cmd-put: \(missing\)/)
      }))

    it.scoped("argument types: too long a name, or a negative time, is an InvalidArgument, and nothing is written", () =>
      Effect.gen(function*() {
        const { beanstalk, lines } = yield* traced(open())
        const written = sent(lines).length
        const errors = yield* Effect.all([
          failsWith(beanstalk.use("t".repeat(201)), "InvalidArgument"),
          failsWith(beanstalk.put("message", { delay: -1 }), "InvalidArgument"),
          failsWith(beanstalk.put("message", { priority: 2 ** 32 }), "InvalidArgument"),
          failsWith(beanstalk.reserveWithTimeout(-1), "InvalidArgument"),
          failsWith(beanstalk.watch("a\rb"), "InvalidArgument")
        ])
        assert.deepStrictEqual(
          errors.map((error) => [error.command, error.argument]),
          [
            ["use", "tube"],
            ["put", "delay"],
            ["put", "priority"],
            ["reserve-with-timeout", "timeout"],
            ["watch", "tube"]
          ]
        )
        assert.strictEqual(sent(lines).length, written)
      }))
  })
})
