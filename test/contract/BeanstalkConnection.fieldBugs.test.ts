/** Bugs of other clients, which must not occur here. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Net from "node:net"
import {
  eventually,
  failsWith,
  idOf,
  type Interference,
  newTube,
  open,
  openOwnTube,
  openTo,
  proxy,
  sent,
  traced
} from "../support/connections.ts"
import { Beanstalkd, ListeningBeanstalkd } from "../support/server.ts"
import { describeContract, describeListening } from "../support/servers.ts"

/** A connection to the shared server through a proxy, and the proxy's client sockets, to be destroyed. */
const openThroughProxy = ({ toClient, toServer }: Interference = {}) =>
  Effect.gen(function*() {
    const clients = new Set<Net.Socket>()
    const target = yield* proxy(yield* ListeningBeanstalkd, {
      toServer,
      toClient: (bytes, client, upstream) => {
        clients.add(client)
        if (toClient === undefined) client.write(bytes)
        else toClient(bytes, client, upstream)
      }
    })
    return { beanstalk: yield* openTo(target), clients }
  })

/** A value as it can stand in the name of a test: on one line, in ASCII, and short. */
const show = (value: unknown) =>
  typeof value === "string"
    ? JSON.stringify(value.slice(0, 30)).replace(/[^\x20-\x7e]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`)
    : String(value)

/** Replaces text in bytes as they pass. */
const replacing = (what: string, by: string) => (bytes: Buffer) =>
  Buffer.from(bytes.toString("latin1").replace(what, by), "latin1")

describeContract("what other clients got wrong", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("hostile arguments", (it) => {
    /** As a program in JavaScript may call them. */
    const numericText = JSON.parse("\"1\\r\\npause-tube default 9\"")

    const numbers = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, -0.1, 1e21, numericText]
    for (const priority of numbers) {
      it.scoped(`put with the priority ${show(priority)} fails, and its body is not run as a command`, () =>
        Effect.gen(function*() {
          const beanstalk = yield* open()
          const error = yield* failsWith(beanstalk.put("pause-tube default 9", { priority }), "InvalidArgument")
          assert.strictEqual(error.argument, "priority")
          const { cmdPauseTube, cmdPut } = yield* beanstalk.stats
          assert.deepStrictEqual([cmdPut, cmdPauseTube], [0, 0])
        }))
    }

    const times = ["-1 seconds", "4294967296 seconds", Number.NaN, Number.POSITIVE_INFINITY, -1, numericText] as const
    for (const time of times) {
      it.scoped(`put with the delay or ttr ${show(time)} fails, and its body is not run as a command`, () =>
        Effect.gen(function*() {
          const beanstalk = yield* open()
          const delay = yield* failsWith(beanstalk.put("pause-tube default 9", { delay: time }), "InvalidArgument")
          const ttr = yield* failsWith(beanstalk.put("pause-tube default 9", { ttr: time }), "InvalidArgument")
          assert.deepStrictEqual([delay.argument, ttr.argument], ["delay", "ttr"])
          const { cmdPauseTube, cmdPut } = yield* beanstalk.stats
          assert.deepStrictEqual([cmdPut, cmdPauseTube], [0, 0])
        }))
    }

    const names = [
      "a\r\npause-tube default 9",
      "a\npause-tube default 9",
      "a\r",
      "a\n",
      "a\0",
      "a\u0085",
      "a\u2028b",
      "\ud800",
      "a b",
      " a",
      "a ",
      "-a",
      "",
      "t".repeat(201)
    ]
    for (const name of names) {
      it.scoped(`a tube named ${show(name)} fails every command that takes a tube, and nothing is run`, () =>
        Effect.gen(function*() {
          const beanstalk = yield* open()
          yield* Effect.all([
            failsWith(beanstalk.put("x", { tube: name }), "InvalidArgument"),
            failsWith(beanstalk.use(name), "InvalidArgument"),
            failsWith(beanstalk.watch(name), "InvalidArgument"),
            failsWith(beanstalk.ignore(name), "InvalidArgument"),
            failsWith(beanstalk.peekReady({ tube: name }), "InvalidArgument"),
            failsWith(beanstalk.peekDelayed({ tube: name }), "InvalidArgument"),
            failsWith(beanstalk.peekBuried({ tube: name }), "InvalidArgument"),
            failsWith(beanstalk.kick(1, { tube: name }), "InvalidArgument"),
            failsWith(beanstalk.statsTube(name), "InvalidArgument"),
            failsWith(beanstalk.pauseTube(name, "9 seconds"), "InvalidArgument"),
            failsWith(open({ tube: name }), "InvalidArgument"),
            failsWith(open({ watch: [name] }), "InvalidArgument")
          ], { concurrency: "unbounded" })
          const stats = yield* beanstalk.stats
          assert.deepStrictEqual([stats.cmdPut, stats.cmdUse, stats.cmdWatch, stats.cmdPauseTube], [0, 0, 0, 0])
          assert.strictEqual(String(yield* beanstalk.listTubeUsed), "default")
        }))
    }

    it.scoped("an id with a line end in it fails, and nothing is run", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open()
        const id = "1\r\npause-tube default 9"
        yield* Effect.all([
          failsWith(beanstalk.reserveJob(id), "InvalidArgument"),
          failsWith(beanstalk.delete(id), "InvalidArgument"),
          failsWith(beanstalk.release(id, { priority: 0 }), "InvalidArgument"),
          failsWith(beanstalk.bury(id, 0), "InvalidArgument"),
          failsWith(beanstalk.touch(id), "InvalidArgument"),
          failsWith(beanstalk.peek(id), "InvalidArgument"),
          failsWith(beanstalk.kickJob(id), "InvalidArgument"),
          failsWith(beanstalk.statsJob(id), "InvalidArgument")
        ], { concurrency: "unbounded" })
        assert.strictEqual((yield* beanstalk.stats).cmdPauseTube, 0)
      }))

    it.scoped("a put with an invalid argument writes nothing, not even the use of its tube", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open()
        yield* failsWith(beanstalk.put("x", { tube: "elsewhere", priority: -1 }), "InvalidArgument")
        assert.strictEqual((yield* beanstalk.stats).cmdUse, 0)
        assert.strictEqual(String(yield* beanstalk.listTubeUsed), "default")
      }))

    it.scoped("a delay of a fraction of a second is sent as one second", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("pause-tube default 9\r\n", { delay: "1.5 millis" })
        const job = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([job.state, job.delay], ["delayed", 1])
        assert.strictEqual((yield* beanstalk.stats).cmdPauseTube, 0)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("options", (it) => {
    it.scoped("a priority of 0 and a ttr that was given are not overwritten by defaults", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const job = yield* beanstalk.statsJob(yield* beanstalk.put("x", { priority: 0, ttr: "7 seconds" }))
        assert.deepStrictEqual([job.pri, job.ttr], [0, 7])
        assert.strictEqual((yield* beanstalk.statsJob(yield* beanstalk.put("x", { ttr: 0 }))).ttr, 1)
      }))

    it.scoped("durations below a second do not become zero", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const { beanstalk, lines } = yield* traced(open({ tube }))
        yield* beanstalk.put("x", { delay: "1 nanos", ttr: "999 millis" })
        yield* beanstalk.pauseTube(tube, "10 millis")
        assert.deepStrictEqual(sent(lines).slice(-2), ["put 1024 1 1 1 (1 bytes)", `pause-tube ${tube} 1`])
      }))

    it.scoped("a timeout given as a number is milliseconds, and never taken for seconds", () =>
      Effect.gen(function*() {
        const { beanstalk: producer, tube } = yield* openOwnTube()
        const { beanstalk, lines } = yield* traced(open({ watch: [tube] }))
        yield* producer.put("x")
        yield* beanstalk.reserveWithTimeout(30_000)
        assert.strictEqual(sent(lines).at(-1), "reserve-with-timeout 30")
      }))

    it.scoped("a tube name of exactly 200 bytes is valid", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const name = "n".repeat(200)
        assert.strictEqual(String(yield* beanstalk.use(name)), name)
        assert.strictEqual(yield* beanstalk.watch(name), 2)
        assert.strictEqual(String((yield* beanstalk.statsTube(name)).name), name)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("statistics", (it) => {
    for (
      const name of ["123", "1e5", "12e4567", "null", "true", "1.5", "0x1F", "my-hyphenated-tube", "a/b;c.d$e_(f)+g"]
    ) {
      it.scoped(`a tube called ${name} keeps its name in statistics and lists`, () =>
        Effect.gen(function*() {
          const beanstalk = yield* open({ tube: name, watch: [name] })
          const id = yield* beanstalk.put("x")
          assert.strictEqual(String((yield* beanstalk.statsTube(name)).name), name)
          assert.strictEqual(String((yield* beanstalk.statsJob(id)).tube), name)
          assert.strictEqual(String(yield* beanstalk.listTubeUsed), name)
          assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), [name])
          assert.include([...yield* beanstalk.listTubes].map(String), name)
        }))
    }

    it.scoped("the operating system is read to the end of its line, and it and the host have no quotes", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const beanstalk = yield* openTo(server)
        const stats = yield* beanstalk.stats
        assert.match(stats.os ?? "", /^[^"].*[^"]$/)
        assert.strictEqual(stats.hostname, server.hostname)
      }))

    it.scoped("the server's id and its version are text, whatever number they look like", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open()
        const { id, version } = yield* beanstalk.stats
        assert.match(id, /^[0-9a-f]{16}$/)
        assert.match(version, /^[^"]+$/)
      }))

    it.scoped("statistics of a tube that does not exist fail with TubeNotFound", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open()
        yield* failsWith(beanstalk.statsTube("nowhere"), "TubeNotFound")
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("several commands at once", (it) => {
    it.scoped("two concurrent reserves both get their own job", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const [one, two] = [yield* beanstalk.put("one"), yield* beanstalk.put("two")]
        const jobs = yield* Effect.all([beanstalk.reserve, beanstalk.reserve], { concurrency: "unbounded" })
        assert.deepStrictEqual(jobs.map((job) => job.id), [one, two])
        assert.deepStrictEqual(yield* Effect.forEach(jobs, (job) => job.text()), ["one", "two"])
      }))

    it.scoped("a hundred reserves and peeks in one write all get their own body", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const bodies = Array.from({ length: 100 }, (_, i) => `${i}\r\n`.repeat(i))
        const ids = yield* Effect.forEach(bodies, (body) => beanstalk.put(body), { concurrency: "unbounded" })
        const jobs = yield* Effect.forEach(ids, (id) => Effect.all([beanstalk.peek(id), beanstalk.reserve]), {
          concurrency: "unbounded"
        })
        const texts = yield* Effect.forEach(jobs, Effect.forEach((job) => job.text()))
        assert.deepStrictEqual(texts, bodies.map((body) => [body, body]))
      }))

    it.scoped("pause-tube is a line of its own, apart from the next command", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const [, used, count] = yield* Effect.all([
          beanstalk.pauseTube(tube, "9 seconds"),
          beanstalk.listTubeUsed,
          beanstalk.watch(tube)
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([String(used), count], [tube, 1])
        assert.strictEqual((yield* beanstalk.statsTube(tube)).pause, 9)
      }))

    it.scoped("a command after a blocking reserve waits with it, and both get their own reply", () =>
      Effect.gen(function*() {
        const { beanstalk: producer } = yield* openOwnTube()
        const { beanstalk, lines } = yield* traced(open({ watch: [yield* producer.listTubeUsed] }))
        const reserving = yield* Effect.fork(beanstalk.reserve)
        const listing = yield* Effect.fork(beanstalk.listTubeUsed)
        yield* eventually(Effect.sync(() => sent(lines).at(-1)), (last) => last === "list-tube-used")
        yield* eventually(producer.stats, (stats) => stats.currentWaiting === 1)
        assert.isTrue((yield* Fiber.poll(listing))._tag === "None")
        const id = yield* producer.put("x")
        assert.strictEqual((yield* Fiber.join(reserving)).id, id)
        assert.strictEqual(String(yield* Fiber.join(listing)), "default")
      }))

    it.scoped("fibers that share a connection never put into each other's tube, whichever tubes they use", () =>
      Effect.gen(function*() {
        const { beanstalk, tube: used } = yield* openOwnTube()
        const tubes = yield* Effect.replicateEffect(newTube, 20)
        const putting = Effect.forEach(
          tubes,
          (tube) =>
            Effect.forEach(["a", "b", "c"], () =>
              Effect.zipRight(
                beanstalk.use(tube),
                Effect.all([
                  beanstalk.put(tube, { tube }),
                  beanstalk.peekReady({ tube }),
                  beanstalk.kick(1, { tube }),
                  beanstalk.put(tube, { tube, delay: "1 hour" })
                ], { concurrency: "unbounded" })
              )),
          { concurrency: "unbounded" }
        )
        const answers = yield* putting
        for (const [id, peeked, , delayed] of answers.flat()) {
          assert.strictEqual(yield* (yield* beanstalk.peek(id)).text(), String((yield* beanstalk.statsJob(id)).tube))
          assert.strictEqual(
            yield* (yield* beanstalk.peek(delayed)).text(),
            String((yield* beanstalk.statsJob(delayed)).tube)
          )
          const { id: seen } = yield* peeked
          assert.strictEqual((yield* beanstalk.statsJob(seen)).tube, (yield* beanstalk.statsJob(id)).tube)
        }
        assert.strictEqual((yield* beanstalk.statsTube(used)).totalJobs, 0)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("times to run", (it) => {
    it.scoped("after DEADLINE_SOON the job is still held: touch and delete succeed", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("x", { ttr: "1 second" })
        yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon"),
          failsWith(beanstalk.reserveWithTimeout(0), "DeadlineSoon"),
          beanstalk.touch(id),
          beanstalk.delete(id)
        ], { concurrency: "unbounded" })
        yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
      }))

    it.scoped("reserveJob does not fail with DeadlineSoon", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* beanstalk.put("short", { ttr: "1 second", priority: 0 })
        const id = yield* beanstalk.put("another", { delay: "1 hour" })
        const [, , job] = yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon"),
          beanstalk.reserveJob(id),
          failsWith(beanstalk.reserveJob("0"), "JobNotFound")
        ], { concurrency: "unbounded" })
        assert.strictEqual(job.id, id)
      }))

    it.scoped("delete after the time to run succeeds while no other connection holds the job, and touch then fails", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("x", { ttr: "1 second" })
        yield* beanstalk.reserve
        yield* eventually(beanstalk.statsJob(id), (job) => job.state === "ready")
        yield* failsWith(beanstalk.touch(id), "JobNotFound")
        yield* beanstalk.delete(id)
      }))

    it.scoped("delete after the time to run fails with JobNotFound once another connection holds the job", () =>
      Effect.gen(function*() {
        const { beanstalk: late, tube } = yield* openOwnTube()
        const next = yield* open({ watch: [tube] })
        const id = yield* late.put("x", { ttr: "1 second" })
        yield* late.reserve
        const reserving = yield* Effect.fork(next.reserve)
        yield* eventually(late.statsJob(id), (job) => job.reserves === 2)
        yield* failsWith(late.delete(id), "JobNotFound")
        assert.strictEqual((yield* Fiber.join(reserving)).id, id)
        yield* next.delete(id)
      }))
  })
})

describeListening("what other clients got wrong", (kind) => {
  layer(ListeningBeanstalkd.layer(kind, { maxJobSize: 2000000 }), { excludeTestServices: true })("bodies", (it) => {
    it.scoped("bytes arrive as bytes, not as JSON or text", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const bytes = Uint8Array.of(0, 1, 0xff, 0xfe, 13, 10)
        for (const body of [bytes, Buffer.from(bytes), new Uint8Array([9, ...bytes, 9]).subarray(1, 7)]) {
          yield* beanstalk.put(body)
          const job = yield* beanstalk.reserve
          assert.deepStrictEqual([...job.body], [...bytes])
        }
      }))

    it.scoped("an empty body is put, and later commands get their own replies", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const [id, job, used, peeked, watched] = yield* Effect.all([
          beanstalk.put(""),
          beanstalk.reserve,
          beanstalk.listTubeUsed,
          Effect.flip(beanstalk.peek("0")),
          beanstalk.watch(tube)
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([job.id, job.body.length], [id, 0])
        assert.deepStrictEqual([String(used), peeked._tag, watched], [tube, "JobNotFound", 1])
      }))

    it.scoped("a body that is neither text nor bytes fails with InvalidArgument, and does not hang", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        for (const json of ["5", "null", "{\"0\":1}", "[\"type\"]", "true"]) {
          const body = JSON.parse(json)
          assert.strictEqual((yield* failsWith(beanstalk.put(body), "InvalidArgument")).argument, "body")
        }
      }))

    it.scoped("a body that is not valid text leaves the job reserved, and its id known", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put(Uint8Array.of(0xc3))
        const buried = yield* beanstalk.reserve.pipe(
          Effect.flatMap((job) => job.text()),
          Effect.catchTag("InvalidText", (poison) => Effect.as(beanstalk.bury(poison.id, 0), poison.id))
        )
        assert.strictEqual(buried, id)
        assert.strictEqual((yield* beanstalk.statsJob(id)).state, "buried")
      }))

    it.scoped("large bodies that arrive on two connections at once do not mix", () =>
      Effect.gen(function*() {
        const fill = (byte: number) =>
          Effect.gen(function*() {
            const { beanstalk } = yield* openOwnTube()
            const body = new Uint8Array(2_000_000).fill(byte)
            yield* beanstalk.put(body)
            const id = yield* beanstalk.put(body)
            return { beanstalk, body: Buffer.from(body), id }
          })
        const connections = yield* Effect.all([fill(65), fill(66), fill(67)])
        const received = yield* Effect.forEach(
          connections,
          ({ beanstalk, id }) =>
            Effect.all([beanstalk.reserve, beanstalk.peek(id), beanstalk.reserve], { concurrency: "unbounded" }),
          { concurrency: "unbounded" }
        )
        received.forEach(([first, peeked, second], i) => {
          for (const job of [first, peeked, second]) assert.isTrue(connections[i]?.body.equals(job.body))
          assert.strictEqual(second.id, connections[i]?.id)
        })
      }))

    it.scoped("replies that arrive byte by byte are decoded like those that arrive in one piece", () =>
      Effect.gen(function*() {
        const server = yield* ListeningBeanstalkd
        const slow = yield* proxy(server, {
          toClient: (bytes, client) => bytes.forEach((byte) => void client.write(Uint8Array.of(byte)))
        })
        const beanstalk = yield* openTo(slow)
        const tube = yield* newTube
        yield* beanstalk.watch(tube)
        const id = yield* beanstalk.put("\r\n", { tube })
        const [job, stats, count, tubes] = yield* Effect.all([
          beanstalk.reserve,
          beanstalk.statsJob(id),
          beanstalk.watch(tube),
          beanstalk.listTubesWatched
        ], { concurrency: "unbounded" })
        assert.strictEqual(yield* job.text(), "\r\n")
        assert.deepStrictEqual([stats.id, stats.state, count], [id, "reserved", 2])
        assert.deepStrictEqual([...tubes].map(String), ["default", tube])
      }))

    it.scoped("bodies that are too large leave no listener, and the connection open", () =>
      Effect.gen(function*() {
        const warnings: Array<Error> = []
        const onWarning = (warning: Error) => void warnings.push(warning)
        yield* Effect.acquireRelease(
          Effect.sync(() => process.on("warning", onWarning)),
          () => Effect.sync(() => process.off("warning", onWarning))
        )
        const { beanstalk } = yield* openOwnTube()
        const large = new Uint8Array(2_000_001)
        yield* Effect.replicateEffect(failsWith(beanstalk.put(large), "JobTooBig"), 100)
        yield* beanstalk.delete(yield* beanstalk.put("small"))
        assert.deepStrictEqual(warnings, [])
      }))

    it.scoped("a body that the server refuses as too big is sent to its end, and later commands get their own replies", () =>
      Effect.gen(function*() {
        const server = yield* kind.start({ maxJobSize: 10 })
        const enlarge = replacing("max-job-size: 10\n", "max-job-size: 99\n")
        const beanstalk = yield* openTo(
          yield* proxy(server, { toClient: (bytes, client) => void client.write(enlarge(bytes)) })
        )
        assert.strictEqual(beanstalk.server.maxJobSize, 99)
        const [error, used, watched] = yield* Effect.all([
          failsWith(beanstalk.put("eleven byte"), "JobTooBig"),
          beanstalk.listTubeUsed,
          beanstalk.watch("elsewhere")
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([error.size, error.limit], [11, undefined])
        assert.deepStrictEqual([String(used), watched], ["default", 2])
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("connections that end", (it) => {
    it.scoped("every command in flight fails when the server is gone, a blocking reserve too", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const observer = yield* openTo(server)
        const beanstalk = yield* openTo(server)
        const inFlight = yield* Effect.fork(Effect.all([
          failsWith(beanstalk.reserve, "ConnectionLost"),
          failsWith(beanstalk.put("x"), "ConnectionLost"),
          failsWith(beanstalk.quit, "ConnectionLost")
        ], { concurrency: "unbounded" }))
        yield* eventually(observer.stats, (stats) => stats.currentWaiting === 1)
        yield* server.kill
        const errors = yield* Fiber.join(inFlight)
        assert.deepStrictEqual(errors.map((error) => error.outcome), ["Unknown", "Unknown", "Unknown"])
        assert.strictEqual((yield* failsWith(beanstalk.stats, "ConnectionLost")).outcome, "NotSent")
      }))

    it.scoped("no reply of a lost connection reaches the next one", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(kind.start(), scope)
        const observer = yield* openTo(server)
        const first = yield* openTo(server)
        const waiting = yield* Effect.fork(failsWith(first.reserve, "ConnectionLost"))
        yield* eventually(observer.stats, (stats) => stats.currentWaiting === 1)
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.join(waiting)
        assert("port" in server.target)
        const second = yield* openTo(yield* kind.start({ port: server.target.port }))
        const [used, count, id] = yield* Effect.all([
          second.use("afresh"),
          second.watch("afresh"),
          second.put("x")
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([String(used), count, String(id)], ["afresh", 2, "1"])
      }))

    it.scoped("a lost connection does not reconnect without its tubes: it stays lost", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(kind.start(), scope)
        const beanstalk = yield* openTo(server, { tube: "mine" })
        yield* Scope.close(scope, Exit.void)
        assert("port" in server.target)
        const restarted = yield* openTo(yield* kind.start({ port: server.target.port }))
        const outcome = failsWith(beanstalk.put("x"), "ConnectionLost").pipe(Effect.map((error) => error.outcome))
        yield* eventually(outcome, (outcome) => outcome === "NotSent")
        const { currentConnections, totalJobs } = yield* restarted.stats
        assert.deepStrictEqual([currentConnections, totalJobs], [1, 0])
      }))

    it.scoped("a connection that could not be opened does not prevent the next", () =>
      Effect.gen(function*() {
        const gone = yield* Effect.scoped(kind.start())
        assert("port" in gone.target)
        assert.strictEqual((yield* failsWith(openTo(gone), "ConnectFailed")).reason, "Unreachable")
        const server = yield* kind.start({ port: gone.target.port })
        const beanstalk = yield* openTo(gone)
        assert.strictEqual((yield* beanstalk.stats).id, yield* idOf(server))
      }))

    it.scoped("an idle connection that is reset does not end the process; the next command fails", () =>
      Effect.gen(function*() {
        const { beanstalk, clients } = yield* openThroughProxy()
        for (const client of clients) client.resetAndDestroy()
        const error = yield* eventually(
          failsWith(beanstalk.stats, "ConnectionLost"),
          (error) => error.outcome === "NotSent"
        )
        assert.include(error.message, "ECONNRESET")
      }))

    it.scoped("the jobs of a connection that is cut are ready again at once", () =>
      Effect.gen(function*() {
        const { beanstalk: other, tube } = yield* openOwnTube()
        const { beanstalk, clients } = yield* openThroughProxy()
        yield* beanstalk.watch(tube)
        const id = yield* other.put("x", { ttr: "1 hour" })
        assert.strictEqual((yield* beanstalk.reserve).id, id)
        const reserving = yield* Effect.fork(other.reserve)
        for (const client of clients) client.destroy()
        assert.strictEqual((yield* Fiber.join(reserving)).id, id)
        yield* failsWith(beanstalk.delete(id), "ConnectionLost")
      }))

    it.scoped("a put whose reply was lost is not sent a second time", () =>
      Effect.gen(function*() {
        const { beanstalk: observer, tube } = yield* openOwnTube()
        const { beanstalk } = yield* openThroughProxy({
          toClient: (bytes, client) => bytes.includes("INSERTED") ? client.destroy() : client.write(bytes)
        })
        const error = yield* failsWith(beanstalk.put("once", { tube }), "ConnectionLost")
        assert.deepStrictEqual([error.command, error.outcome], ["put", "Unknown"])
        assert.strictEqual((yield* failsWith(beanstalk.put("never", { tube }), "ConnectionLost")).outcome, "NotSent")
        assert.strictEqual((yield* observer.statsTube(tube)).totalJobs, 1)
      }))

    it.scoped("a job whose body was cut off in the middle fails its reserve, and is ready again", () =>
      Effect.gen(function*() {
        const { beanstalk: observer, tube } = yield* openOwnTube()
        const id = yield* observer.put("a body that will not arrive as a whole")
        const { beanstalk } = yield* openThroughProxy({
          toClient: (bytes, client) =>
            bytes.includes("RESERVED") ? client.end(bytes.subarray(0, 30)) : client.write(bytes)
        })
        yield* beanstalk.watch(tube)
        assert.strictEqual((yield* failsWith(beanstalk.reserve, "ConnectionLost")).outcome, "Unknown")
        yield* eventually(observer.statsJob(id), (job) => job.state === "ready")
      }))

    it.scoped("an interrupted reserve leaves no job reserved", () =>
      Effect.gen(function*() {
        const { beanstalk: other, tube } = yield* openOwnTube()
        const beanstalk = yield* open({ watch: [tube] })
        const reserving = yield* Effect.fork(beanstalk.reserve)
        yield* eventually(other.statsTube(tube), (stats) => stats.currentWaiting === 1)
        yield* Fiber.interrupt(reserving)
        assert.strictEqual((yield* failsWith(beanstalk.stats, "ConnectionLost")).outcome, "NotSent")
        yield* eventually(other.statsTube(tube), (stats) => stats.currentWaiting === 0)
        const id = yield* other.put("x")
        assert.strictEqual((yield* other.reserve).id, id)
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("replies that are out of step", (it) => {
    it.scoped("BadFormat to a put closes the connection: replies to its body reach no command", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openThroughProxy({
          toServer: (bytes, _, upstream) => upstream.write(replacing("put 1024", "put -1")(bytes))
        })
        const [put, behind] = yield* Effect.all([
          failsWith(beanstalk.put("pause-tube default 0"), "BadFormat"),
          failsWith(beanstalk.listTubeUsed, "ConnectionLost")
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([put.command, behind.outcome], ["put", "Unknown"])
        yield* failsWith(beanstalk.stats, "ConnectionLost")
      }))

    it.scoped("ExpectedCRLF closes the connection: no later command gets the reply of another", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openThroughProxy({
          toServer: (bytes, _, upstream) => upstream.write(replacing("put 1024 0 60 5", "put 1024 0 60 4")(bytes))
        })
        const [put, behind] = yield* Effect.all([
          failsWith(beanstalk.put("hello"), "ExpectedCRLF"),
          failsWith(beanstalk.listTubeUsed, "ConnectionLost"),
          failsWith(beanstalk.watch("elsewhere"), "ConnectionLost")
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([put.command, behind.outcome], ["put", "Unknown"])
        yield* failsWith(beanstalk.stats, "ConnectionLost")
      }))

    it.scoped("an unknown reply word is a ProtocolViolation, and closes the connection", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openThroughProxy({
          toClient: (bytes, client) => client.write(replacing("USING default", "MOVED TO default")(bytes))
        })
        const [violation, behind] = yield* Effect.all([
          failsWith(beanstalk.listTubeUsed, "ProtocolViolation"),
          failsWith(beanstalk.watch("default"), "ConnectionLost")
        ], { concurrency: "unbounded" })
        assert.include(violation.reply, "no reply of beanstalkd")
        assert.strictEqual(behind.outcome, "Unknown")
        yield* failsWith(beanstalk.stats, "ConnectionLost")
      }))

    it.scoped("a reply without a command ends the connection, and is not taken for the next reply", () =>
      Effect.gen(function*() {
        const { beanstalk, clients } = yield* openThroughProxy()
        for (const client of clients) client.write("INSERTED 1\r\n")
        yield* eventually(
          Effect.sync(() => [...clients].filter((client) => !client.destroyed).length),
          (left) => left === 0
        )
        const error = yield* failsWith(beanstalk.put("x"), "ConnectionLost")
        assert.strictEqual(error.outcome, "NotSent")
        assert.include(error.reason, "a reply that no command is waiting for")
      }))
  })
})
