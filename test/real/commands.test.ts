/**
 * Every command of the protocol, and every answer to it that a real server can be made to give.
 */
import { assert, layer } from "@effect/vitest"
import { type BeanstalkConnection, type BeanstalkError, BeanstalkProtocol } from "effect-beanstalk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { mkdirSync, rmSync } from "node:fs"
import { hostname } from "node:os"
import { Beanstalkd, startBeanstalkd, temporaryFolder } from "../support/beanstalkd.ts"
import { describeReal } from "../support/real.ts"
import {
  canLimitMemory,
  eventually,
  failsWith,
  failureOf,
  limitMemory,
  newTube,
  open,
  openOwnTube,
  openRaw,
  openTo,
  sent,
  traced,
  valid
} from "./support.ts"

/** An id that no server here ever gives. */
const nobody = "18446744073709551615"

describeReal("the commands of a connection", () => {
  layer(Beanstalkd.layer(), { excludeTestServices: true })("producing", (it) => {
    it.scoped("put gives each job an id, larger than the one before", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const first = yield* beanstalk.put("one")
        const second = yield* beanstalk.put("two")
        assert.match(first, /^\d+$/)
        assert.isAbove(Number(second), Number(first))
      }))

    it.scoped("put without options gives a job the priority 1024, no delay and 60 seconds to run", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const job = yield* beanstalk.statsJob(yield* beanstalk.put("job"))
        assert.strictEqual(job.tube, tube)
        assert.strictEqual(job.state, "ready")
        assert.strictEqual(job.pri, 1024)
        assert.strictEqual(job.delay, 0)
        assert.strictEqual(job.ttr, 60)
      }))

    it.scoped("put hands priority, delay and time to run over to the server", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { priority: 7, delay: "1 hour", ttr: "2 minutes" })
        const job = yield* beanstalk.statsJob(id)
        assert.strictEqual(job.state, "delayed")
        assert.strictEqual(job.pri, 7)
        assert.strictEqual(job.delay, 3600)
        assert.strictEqual(job.ttr, 120)
        assert.isAtLeast(job.timeLeft, 3500)
      }))

    it.scoped("put takes the least and the most that the server takes", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const most = 2 ** 32 - 1
        const ttr = `${most} seconds` as const
        const last = yield* beanstalk.statsJob(yield* beanstalk.put("last", { priority: most, ttr }))
        assert.deepStrictEqual([last.pri, last.ttr], [most, most])
        const late = yield* beanstalk.statsJob(yield* beanstalk.put("late", { priority: 0, delay: ttr }))
        assert.deepStrictEqual([late.pri, late.delay, late.state], [0, most, "delayed"])
      }))

    it.scoped("durations that are not whole seconds are rounded up", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { delay: "1 millis", ttr: "1001 millis" })
        const put = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([put.state, put.delay, put.ttr], ["delayed", 1, 2])
        yield* beanstalk.reserveJob(id)
        yield* beanstalk.release(id, { priority: 0, delay: "3000001 micros" })
        const released = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([released.state, released.delay], ["delayed", 4])
      }))

    it.scoped("the server makes a second of a time to run of zero", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { ttr: 0 })
        assert.strictEqual((yield* beanstalk.statsJob(id)).ttr, 1)
      }))

    const bodies: Readonly<Record<string, Uint8Array>> = {
      "no bytes": new Uint8Array(0),
      "a line end": Buffer.from("\r\n"),
      "what looks like replies": Buffer.from("\r\nRESERVED 1 3\r\nabc\r\nOK 0\r\n\r\n"),
      "every byte": Uint8Array.from({ length: 256 }, (_, i) => i),
      "all that the server takes": new Uint8Array(65535).fill(13)
    }
    for (const [name, body] of Object.entries(bodies)) {
      it.scoped(`a body of ${name} comes back as it was put`, () =>
        Effect.gen(function*() {
          const { beanstalk } = yield* openOwnTube()
          const id = yield* beanstalk.put(body)
          const peeked = yield* beanstalk.peek(id)
          assert.deepStrictEqual(Buffer.from(peeked.body), Buffer.from(body))
          const reserved = yield* beanstalk.reserve
          assert.strictEqual(reserved.id, id)
          assert.deepStrictEqual(Buffer.from(reserved.body), Buffer.from(body))
        }))
    }

    it.scoped("text is put as UTF-8, and its length counted in bytes", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const text = "Größe 🫘 豆の木"
        yield* beanstalk.put(text)
        const job = yield* beanstalk.reserve
        assert.deepStrictEqual(Buffer.from(job.body), Buffer.from(text, "utf8"))
        assert.strictEqual(yield* job.text(), text)
      }))

    it.scoped("put with a tube puts the job there, and leaves the tube in use alone", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const other = yield* newTube
        const there = yield* beanstalk.put("there", { tube: other })
        const here = yield* beanstalk.put("here")
        assert.strictEqual((yield* beanstalk.statsJob(there)).tube, other)
        assert.strictEqual((yield* beanstalk.statsJob(here)).tube, tube)
        assert.strictEqual(yield* beanstalk.listTubeUsed, tube)
      }))

    it.scoped("use succeeds with the name of the tube, and jobs are put there from then on", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const other = yield* newTube
        assert.strictEqual(yield* beanstalk.use(other), other)
        assert.strictEqual(yield* beanstalk.listTubeUsed, other)
        const id = yield* beanstalk.put("job")
        assert.strictEqual((yield* beanstalk.statsJob(id)).tube, other)
      }))

    it.scoped("a tube exists while it is used, and not longer", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const other = yield* newTube
        yield* beanstalk.use(other)
        assert.include(yield* beanstalk.listTubes, other)
        yield* beanstalk.use("default")
        assert.notInclude(yield* beanstalk.listTubes, other)
      }))
  })

  layer(Beanstalkd.layer(), { excludeTestServices: true })("working", (it) => {
    it.scoped("reserve gives the most urgent job first, and the oldest among equals", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const late = yield* beanstalk.put("late", { priority: 10 })
        const first = yield* beanstalk.put("first", { priority: 1 })
        const second = yield* beanstalk.put("second", { priority: 1 })
        const reserved = yield* Effect.all([beanstalk.reserve, beanstalk.reserve, beanstalk.reserve])
        assert.deepStrictEqual(reserved.map((job) => job.id), [first, second, late])
        assert.strictEqual((yield* beanstalk.statsJob(first)).state, "reserved")
      }))

    it.scoped("reserve waits until somebody puts a job", () =>
      Effect.gen(function*() {
        const { beanstalk: worker, tube } = yield* openOwnTube()
        const { beanstalk: producer } = yield* openOwnTube()
        const reserving = yield* Effect.fork(worker.reserve)
        yield* eventually(producer.statsTube(tube), (stats) => stats.currentWaiting === 1)
        const id = yield* producer.put("at last", { tube })
        const job = yield* Fiber.join(reserving)
        assert.strictEqual(job.id, id)
        assert.strictEqual(yield* job.text(), "at last")
      }))

    it.scoped("reserve takes from every watched tube, and from no other", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const [watched, unwatched] = [yield* newTube, yield* newTube]
        yield* beanstalk.watch(watched)
        yield* beanstalk.put("unwatched", { tube: unwatched, priority: 0 })
        const second = yield* beanstalk.put("here", { tube, priority: 2 })
        const first = yield* beanstalk.put("there", { tube: watched, priority: 1 })
        const reserved = [yield* beanstalk.reserve, yield* beanstalk.reserve]
        assert.deepStrictEqual(reserved.map((job) => job.id), [first, second])
        yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
      }))

    it.scoped("reserve with a timeout gives a job that is there", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job")
        const job = yield* beanstalk.reserveWithTimeout("1 hour")
        assert.strictEqual(job.id, id)
      }))

    it.scoped("reserve with a timeout of zero fails with TimedOut at once", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const error = yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
        assert.strictEqual(error.command, "reserve-with-timeout")
        assert.strictEqual(error.address, beanstalk.address)
      }))

    it.scoped("reserve with a timeout waits for whole seconds, and then fails with TimedOut", () =>
      Effect.gen(function*() {
        const tube = yield* newTube
        const { beanstalk, lines } = yield* traced(open({ watch: [tube] }))
        const [waited] = yield* Effect.timed(failsWith(beanstalk.reserveWithTimeout("1 millis"), "TimedOut"))
        assert.strictEqual(sent(lines).at(-1), "reserve-with-timeout 1")
        assert.isAtLeast(Duration.toMillis(waited), 900)
      }))

    it.scoped("a reserve fails with DeadlineSoon while a job it holds has no second left", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* beanstalk.put("short", { ttr: "1 second" })
        const [job, plain, patient, impatient] = yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon"),
          failsWith(beanstalk.reserveWithTimeout("1 hour"), "DeadlineSoon"),
          failsWith(beanstalk.reserveWithTimeout(0), "DeadlineSoon")
        ], { concurrency: "unbounded" })
        assert.strictEqual(yield* job.text(), "short")
        assert.deepStrictEqual(
          [plain.command, patient.command, impatient.command],
          ["reserve", "reserve-with-timeout", "reserve-with-timeout"]
        )
      }))

    it.scoped("a waiting reserve fails with DeadlineSoon as the last second of a held job begins", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("short", { ttr: "2 seconds" })
        const [job, error] = yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon")
        ], { concurrency: "unbounded" })
        assert.strictEqual(job.id, id)
        assert.include(error.message, "less than a second left")
      }))

    it.scoped("touch starts the time to run anew", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("short", { ttr: "2 seconds" })
        const [, , before, , after] = yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon"),
          beanstalk.statsJob(id),
          beanstalk.touch(id),
          beanstalk.statsJob(id)
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([before.timeLeft, after.timeLeft], [0, 1])
      }))

    it.scoped("a job whose time to run is over is ready again, and counts the timeout", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("short", { ttr: "1 second" })
        yield* beanstalk.reserve
        const job = yield* eventually(beanstalk.statsJob(id), (job) => job.state === "ready")
        assert.deepStrictEqual([job.timeouts, job.reserves, job.releases], [1, 1, 0])
      }))

    it.scoped("reserveJob reserves a job that is ready, delayed or buried, in a tube that is not watched", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = yield* newTube
        const ready = yield* beanstalk.put("ready", { tube })
        const delayed = yield* beanstalk.put("delayed", { tube, delay: "1 hour" })
        const buried = yield* beanstalk.put("buried", { tube })
        yield* beanstalk.reserveJob(buried)
        yield* beanstalk.bury(buried, 0)
        for (const id of [ready, delayed, buried]) {
          const job = yield* beanstalk.reserveJob(id)
          assert.strictEqual(job.id, id)
          assert.strictEqual((yield* beanstalk.statsJob(id)).state, "reserved")
        }
      }))

    it.scoped("reserveJob fails with JobNotFound for a job that is reserved, by whomever", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const { beanstalk: other } = yield* openOwnTube()
        const id = yield* beanstalk.put("job")
        yield* beanstalk.reserve
        assert.strictEqual((yield* failsWith(beanstalk.reserveJob(id), "JobNotFound")).id, id)
        assert.strictEqual((yield* failsWith(other.reserveJob(id), "JobNotFound")).id, id)
      }))

    it.scoped("delete deletes a job that is held, ready, delayed or buried", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const buried = yield* beanstalk.put("buried")
        yield* beanstalk.reserve
        yield* beanstalk.bury(buried, 0)
        const held = yield* beanstalk.put("held")
        yield* beanstalk.reserve
        const ready = yield* beanstalk.put("ready")
        const delayed = yield* beanstalk.put("delayed", { delay: "1 hour" })
        for (const id of [held, ready, delayed, buried]) {
          yield* beanstalk.delete(id)
          assert.strictEqual((yield* failsWith(beanstalk.peek(id), "JobNotFound")).id, id)
        }
      }))

    it.scoped("release gives a job back, with a priority and a delay of its own", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { priority: 5 })
        yield* beanstalk.reserve
        yield* beanstalk.release(id, { priority: 6 })
        const ready = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([ready.state, ready.pri, ready.delay, ready.releases], ["ready", 6, 0, 1])
        yield* beanstalk.reserve
        yield* beanstalk.release(id, { priority: 7, delay: "1 hour" })
        const delayed = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([delayed.state, delayed.pri, delayed.delay, delayed.releases], ["delayed", 7, 3600, 2])
      }))

    it.scoped("bury puts a job aside, with a priority of its own", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { priority: 5 })
        yield* beanstalk.reserve
        yield* beanstalk.bury(id, 6)
        const job = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([job.state, job.pri, job.buries], ["buried", 6, 1])
        yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
      }))

    it.scoped("a job that another connection holds is not ours to delete, release, bury or touch", () =>
      Effect.gen(function*() {
        const { beanstalk: holder, tube } = yield* openOwnTube()
        const { beanstalk: other } = yield* openOwnTube()
        const id = yield* holder.put("job")
        yield* holder.reserve
        const refusals = yield* Effect.all([
          failsWith(other.delete(id), "JobNotFound"),
          failsWith(other.release(id, { priority: 0 }), "JobNotFound"),
          failsWith(other.bury(id, 0), "JobNotFound"),
          failsWith(other.touch(id), "JobNotFound")
        ])
        assert.deepStrictEqual(refusals.map((error) => error.command), ["delete", "release", "bury", "touch"])
        assert.strictEqual((yield* holder.statsTube(tube)).currentJobsReserved, 1)
        yield* holder.delete(id)
      }))

    it.scoped("watch succeeds with the number of tubes watched, and counts a tube once", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const other = yield* newTube
        assert.strictEqual(yield* beanstalk.watch(other), 2)
        assert.strictEqual(yield* beanstalk.watch(other), 2)
        assert.sameMembers([...yield* beanstalk.listTubesWatched], [tube, other])
      }))

    it.scoped("ignore succeeds with the number of tubes still watched, even if it was none of them", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const other = yield* newTube
        yield* beanstalk.watch(other)
        assert.strictEqual(yield* beanstalk.ignore("a-tube-nobody-watches"), 2)
        assert.strictEqual(yield* beanstalk.ignore(tube), 1)
        assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), [other])
      }))

    it.scoped("ignore fails with NotIgnored for the last tube", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const error = yield* failsWith(beanstalk.ignore(tube), "NotIgnored")
        assert.strictEqual(error.tube, tube)
        assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), [tube])
      }))

    it.scoped("closing the scope closes the connection, and gives its jobs back as they were", () =>
      Effect.gen(function*() {
        const { beanstalk: observer } = yield* openOwnTube()
        const tube = yield* newTube
        const id = yield* observer.put("job", { tube, priority: 3 })
        yield* Effect.scoped(Effect.gen(function*() {
          const worker = yield* open({ watch: [tube] })
          assert.strictEqual((yield* worker.reserve).id, id)
          assert.strictEqual((yield* observer.statsJob(id)).state, "reserved")
        }))
        const job = yield* eventually(observer.statsJob(id), (job) => job.state === "ready")
        assert.deepStrictEqual([job.pri, job.reserves, job.releases, job.timeouts], [3, 1, 0, 0])
      }))
  })

  layer(Beanstalkd.layer(), { excludeTestServices: true })("looking and tidying", (it) => {
    it.scoped("peek shows a job in whatever tube and state, and changes nothing", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = yield* newTube
        const ready = yield* beanstalk.put("ready", { tube })
        const delayed = yield* beanstalk.put("delayed", { tube, delay: "1 hour" })
        const buried = yield* beanstalk.put("buried", { tube })
        yield* beanstalk.reserveJob(buried)
        yield* beanstalk.bury(buried, 0)
        const held = yield* beanstalk.put("reserved", { tube })
        yield* beanstalk.reserveJob(held)
        for (const id of [ready, delayed, buried, held]) {
          const job = yield* beanstalk.peek(id)
          const { state } = yield* beanstalk.statsJob(id)
          assert.deepStrictEqual([job.id, yield* job.text()], [id, state])
        }
      }))

    it.scoped("peekReady, peekDelayed and peekBuried show the next job of the tube in use, or nothing", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        assert.isTrue(Option.isNone(yield* beanstalk.peekReady()))
        assert.isTrue(Option.isNone(yield* beanstalk.peekDelayed()))
        assert.isTrue(Option.isNone(yield* beanstalk.peekBuried()))
        const buried = yield* beanstalk.put("buried")
        yield* beanstalk.reserve
        yield* beanstalk.bury(buried, 0)
        yield* beanstalk.put("less urgent", { priority: 2 })
        const ready = yield* beanstalk.put("ready", { priority: 1 })
        yield* beanstalk.put("later", { delay: "2 hours", priority: 0 })
        const delayed = yield* beanstalk.put("delayed", { delay: "1 hour" })
        const seen = yield* Effect.all([
          Effect.flatten(beanstalk.peekReady()),
          Effect.flatten(beanstalk.peekDelayed()),
          Effect.flatten(beanstalk.peekBuried())
        ])
        assert.deepStrictEqual(seen.map((job) => job.id), [ready, delayed, buried])
        assert.deepStrictEqual(yield* Effect.forEach(seen, (job) => job.text()), ["ready", "delayed", "buried"])
      }))

    it.scoped("peekReady, peekDelayed, peekBuried and kick act on another tube when they are told one", () =>
      Effect.gen(function*() {
        const { beanstalk, tube: used } = yield* openOwnTube()
        const tube = yield* newTube
        const ready = yield* beanstalk.put("ready", { tube })
        const delayed = yield* beanstalk.put("delayed", { tube, delay: "1 hour" })
        const buried = yield* beanstalk.put("buried", { tube })
        yield* beanstalk.reserveJob(buried)
        yield* beanstalk.bury(buried, 0)
        const seen = yield* Effect.all([
          Effect.flatten(beanstalk.peekReady({ tube })),
          Effect.flatten(beanstalk.peekDelayed({ tube })),
          Effect.flatten(beanstalk.peekBuried({ tube }))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(seen.map((job) => job.id), [ready, delayed, buried])
        assert.strictEqual(yield* beanstalk.kick(10, { tube }), 1)
        assert.strictEqual((yield* beanstalk.statsJob(buried)).state, "ready")
        assert.strictEqual(yield* beanstalk.listTubeUsed, used)
        assert.isTrue(Option.isNone(yield* beanstalk.peekReady()))
      }))

    it.scoped("kick makes buried jobs ready, the longest buried first, and delayed ones only if none is buried", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const [one, two, three] = yield* Effect.all([
          beanstalk.put("one"),
          beanstalk.put("two"),
          beanstalk.put("three")
        ])
        for (const id of [three, one, two]) {
          yield* beanstalk.reserveJob(id)
          yield* beanstalk.bury(id, 0)
        }
        const delayed = yield* beanstalk.put("delayed", { delay: "1 hour" })
        assert.strictEqual(yield* beanstalk.kick(0), 0)
        assert.strictEqual(yield* beanstalk.kick(1), 1)
        assert.strictEqual((yield* beanstalk.statsJob(three)).state, "ready")
        assert.strictEqual(yield* beanstalk.kick(2 ** 32 - 1), 2)
        assert.strictEqual((yield* beanstalk.statsJob(two)).kicks, 1)
        assert.strictEqual((yield* beanstalk.statsJob(delayed)).state, "delayed")
        assert.strictEqual(yield* beanstalk.kick(10), 1)
        const stats = yield* beanstalk.statsTube(tube)
        assert.deepStrictEqual(
          [stats.currentJobsReady, stats.currentJobsBuried, stats.currentJobsDelayed],
          [4, 0, 0]
        )
      }))

    it.scoped("kickJob makes one buried or delayed job ready, in whatever tube", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = yield* newTube
        const delayed = yield* beanstalk.put("delayed", { tube, delay: "1 hour" })
        const buried = yield* beanstalk.put("buried", { tube })
        yield* beanstalk.reserveJob(buried)
        yield* beanstalk.bury(buried, 0)
        for (const id of [delayed, buried]) {
          yield* beanstalk.kickJob(id)
          const job = yield* beanstalk.statsJob(id)
          assert.deepStrictEqual([job.state, job.kicks], ["ready", 1])
          yield* failsWith(beanstalk.kickJob(id), "JobNotFound")
        }
      }))

    it.scoped("statsJob tells everything about a job", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { priority: 9, ttr: "100 seconds", delay: "1 hour" })
        yield* beanstalk.kickJob(id)
        yield* beanstalk.reserve
        yield* beanstalk.bury(id, 8)
        yield* beanstalk.kickJob(id)
        yield* beanstalk.reserve
        yield* beanstalk.release(id, { priority: 7 })
        yield* beanstalk.reserve
        const { age, timeLeft, ...job } = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual(job, {
          id,
          tube: job.tube,
          state: "reserved",
          pri: 7,
          delay: 0,
          ttr: 100,
          file: 0,
          reserves: 3,
          timeouts: 0,
          releases: 1,
          buries: 1,
          kicks: 2,
          unknown: {}
        })
        assert.strictEqual(job.tube, tube)
        assert.isAtLeast(age, 0)
        assert.isAbove(timeLeft, 0)
      }))

    it.scoped("statsTube tells everything about a tube", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        yield* open({ tube })
        const buried = yield* beanstalk.put("buried")
        yield* beanstalk.reserve
        yield* beanstalk.bury(buried, 0)
        yield* beanstalk.put("reserved")
        yield* beanstalk.reserve
        const deleted = yield* beanstalk.put("deleted")
        yield* beanstalk.delete(deleted)
        yield* beanstalk.put("urgent", { priority: 1023 })
        yield* beanstalk.put("ready", { priority: 1024 })
        yield* beanstalk.put("delayed", { delay: "1 hour" })
        yield* beanstalk.pauseTube(tube, "1 hour")
        const { pauseTimeLeft, ...stats } = yield* beanstalk.statsTube(tube)
        assert.deepStrictEqual(stats, {
          name: stats.name,
          currentJobsUrgent: 1,
          currentJobsReady: 2,
          currentJobsReserved: 1,
          currentJobsDelayed: 1,
          currentJobsBuried: 1,
          totalJobs: 6,
          currentUsing: 2,
          currentWatching: 1,
          currentWaiting: 0,
          cmdDelete: 1,
          cmdPauseTube: 1,
          pause: 3600,
          unknown: {}
        })
        assert.strictEqual(stats.name, tube)
        assert.isAbove(pauseTimeLeft, 3500)
      }))

    it.scoped("stats tells which server it is, and knows every key of it", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const { beanstalk } = yield* openOwnTube()
        const stats = yield* beanstalk.stats
        assert.strictEqual(stats.pid, server.pid)
        assert.strictEqual(stats.hostname, hostname())
        assert.strictEqual(stats.maxJobSize, 65535)
        assert.strictEqual(stats.draining, false)
        assert.match(stats.id, /^[0-9a-f]{16}$/)
        assert.match(stats.version, /^[^"]+$/)
        assert.match(stats.os ?? "", /^[^"]+$/)
        assert.match(stats.platform ?? "", /^[^"]+$/)
        assert.isAtLeast(stats.rusageUtime + stats.rusageStime, 0)
        assert.deepStrictEqual({ ...stats.unknown }, {})
        assert.deepStrictEqual(beanstalk.server, { id: stats.id, version: stats.version, maxJobSize: 65535 })
      }))

    it.scoped("stats counts each command under its own name", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const before = yield* beanstalk.stats
        const id = yield* beanstalk.put("job")
        yield* beanstalk.peek(id)
        yield* beanstalk.peekReady()
        yield* beanstalk.peekDelayed()
        yield* beanstalk.peekBuried()
        yield* beanstalk.reserve
        yield* beanstalk.touch(id)
        yield* beanstalk.release(id, { priority: 0 })
        yield* beanstalk.reserveWithTimeout(0)
        yield* beanstalk.bury(id, 0)
        yield* beanstalk.kick(1)
        yield* beanstalk.statsJob(id)
        yield* beanstalk.statsTube(tube)
        yield* beanstalk.delete(id)
        yield* beanstalk.use(tube)
        yield* beanstalk.watch(tube)
        yield* beanstalk.ignore("elsewhere")
        yield* beanstalk.listTubes
        yield* beanstalk.listTubesWatched
        yield* beanstalk.listTubeUsed
        yield* beanstalk.pauseTube(tube, 0)
        const after = yield* beanstalk.stats
        const more = (read: (stats: typeof before) => number) => read(after) - read(before)
        const counted = [
          more((stats) => stats.cmdPut),
          more((stats) => stats.cmdPeek),
          more((stats) => stats.cmdPeekReady),
          more((stats) => stats.cmdPeekDelayed),
          more((stats) => stats.cmdPeekBuried),
          more((stats) => stats.cmdReserve),
          more((stats) => stats.cmdReserveWithTimeout),
          more((stats) => stats.cmdTouch),
          more((stats) => stats.cmdRelease),
          more((stats) => stats.cmdBury),
          more((stats) => stats.cmdKick),
          more((stats) => stats.cmdStats),
          more((stats) => stats.cmdStatsJob),
          more((stats) => stats.cmdStatsTube),
          more((stats) => stats.cmdDelete),
          more((stats) => stats.cmdUse),
          more((stats) => stats.cmdWatch),
          more((stats) => stats.cmdIgnore),
          more((stats) => stats.cmdListTubes),
          more((stats) => stats.cmdListTubesWatched),
          more((stats) => stats.cmdListTubeUsed),
          more((stats) => stats.cmdPauseTube),
          more((stats) => stats.totalJobs)
        ]
        assert.deepStrictEqual(counted, counted.map(() => 1))
      }))

    it.scoped("a job that is still being uploaded has the state invalid", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const raw = yield* openRaw(yield* Beanstalkd)
        const before = yield* beanstalk.put("before")
        yield* raw.say("put 0 0 60 10\r\nhalf")
        const id = String(Number(before) + 1)
        const job = yield* beanstalk.statsJob(id).pipe(Effect.eventually)
        assert.strictEqual(job.state, "invalid")
      }))

    it.scoped("listTubes, listTubesWatched and listTubeUsed name what exists, is watched and is used", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const [used, filled] = [yield* newTube, yield* newTube]
        yield* beanstalk.put("job", { tube: filled })
        yield* beanstalk.use(used)
        assert.includeMembers([...yield* beanstalk.listTubes].map(String), ["default", tube, used, filled])
        assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), [tube])
        assert.strictEqual(yield* beanstalk.listTubeUsed, used)
      }))

    it.scoped("pauseTube lets nobody reserve until the pause is over or ended, rounded up to whole seconds", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const id = yield* beanstalk.put("job")
        yield* beanstalk.pauseTube(tube, "3599001 millis")
        assert.strictEqual((yield* beanstalk.statsTube(tube)).pause, 3600)
        yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
        yield* beanstalk.pauseTube(tube, 0)
        assert.strictEqual((yield* beanstalk.reserve).id, id)
        yield* beanstalk.release(id, { priority: 0 })
        yield* beanstalk.pauseTube(tube, "1 second")
        assert.strictEqual((yield* beanstalk.reserve).id, id)
      }))

    it.scoped("quit succeeds once the server has closed, and gives the jobs back", () =>
      Effect.gen(function*() {
        const { beanstalk: observer } = yield* openOwnTube()
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job")
        yield* beanstalk.reserve
        yield* beanstalk.quit
        assert.strictEqual((yield* observer.statsJob(id)).state, "ready")
      }))

    it.scoped("nothing is sent behind a quit: it fails with ConnectionLost as not sent", () =>
      Effect.gen(function*() {
        const { beanstalk: observer } = yield* openOwnTube()
        const { beanstalk, tube } = yield* openOwnTube()
        const id = yield* observer.put("job", { tube })
        const [, behind] = yield* Effect.all([
          beanstalk.quit,
          failsWith(beanstalk.delete(id), "ConnectionLost")
        ], { concurrency: "unbounded" })
        const later = yield* failsWith(beanstalk.delete(id), "ConnectionLost")
        assert.deepStrictEqual([behind.outcome, later.outcome], ["NotSent", "NotSent"])
        assert.strictEqual((yield* observer.statsJob(id)).state, "ready")
      }))
  })

  layer(Beanstalkd.layer(), { excludeTestServices: true })("what does not exist", (it) => {
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
      it.scoped(`${name} of a job that does not exist fails with JobNotFound, and tells which`, () =>
        Effect.gen(function*() {
          const { beanstalk } = yield* openOwnTube()
          const error = yield* failsWith(run(beanstalk), "JobNotFound")
          assert.deepStrictEqual([error.command, String(error.id), error.address], [name, nobody, beanstalk.address])
          assert.include(error.message, nobody)
        }))
    }

    it.scoped("statsTube and pauseTube of a tube that does not exist fail with TubeNotFound, and make none", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const tube = yield* newTube
        const stats = yield* failsWith(beanstalk.statsTube(tube), "TubeNotFound")
        const pause = yield* failsWith(beanstalk.pauseTube(tube, "1 second"), "TubeNotFound")
        assert.deepStrictEqual([stats.command, String(stats.tube)], ["stats-tube", tube])
        assert.deepStrictEqual([pause.command, String(pause.tube)], ["pause-tube", tube])
        assert.notInclude(yield* beanstalk.listTubes, tube)
      }))

    it.scoped("the largest id that can be is asked for as it is, and one more is refused", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* failsWith(beanstalk.peek(nobody), "JobNotFound")
        yield* failsWith(beanstalk.peek("18446744073709551616"), "InvalidArgument")
      }))
  })

  layer(Beanstalkd.layer({ args: ["-z", "10"] }), { excludeTestServices: true })("a body that is too big", (it) => {
    it.scoped("is refused here, with the server's own limit, and nothing is sent", () =>
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

    it.scoped("is JobTooBig when the server says so, and the replies behind it stay in step", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* Beanstalkd)
        const command = valid(BeanstalkProtocol.put("eleven byte"))
        const failure = failureOf(command, yield* raw.ask(BeanstalkProtocol.encode([command])))
        assert(failure?.error._tag === "JobTooBig")
        assert.deepStrictEqual([failure.error.size, failure.error.limit, failure.unsafe], [11, undefined, false])
        assert.deepStrictEqual(yield* raw.ask("watch default\r\n"), { _tag: "Watching", count: 1 })
      }))
  })

  layer(Beanstalkd.layer(), { excludeTestServices: true })("what the encoder cannot be brought to send", (it) => {
    const put = valid(BeanstalkProtocol.put("x"))
    const use = valid(BeanstalkProtocol.use("default"))
    const touch = valid(BeanstalkProtocol.touch("1"))

    it.scoped("a body of another length than announced is ExpectedCRLF, and the connection unsafe", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* Beanstalkd)
        const failure = failureOf(put, yield* raw.ask("put 0 0 60 1\r\nxyz"))
        assert.strictEqual(failure?.error._tag, "ExpectedCRLF")
        assert.isTrue(failure?.unsafe)
      }))

    const malformed: ReadonlyArray<string> = [
      "put -1 0 60 1",
      "put 4294967296 0 60 1",
      "put 0 1.5 60 1",
      "put 0 0 60 4294967296",
      "put 0 0 60"
    ]
    for (const line of malformed) {
      it.scoped(`"${line}" is BadFormat, its body is read as a command, and the connection unsafe`, () =>
        Effect.gen(function*() {
          const raw = yield* openRaw(yield* Beanstalkd)
          const failure = failureOf(put, yield* raw.ask(`${line}\r\nuse default\r\n`))
          assert.strictEqual(failure?.error._tag, "BadFormat")
          assert.isTrue(failure?.unsafe)
          const stray = use.decode(yield* raw.hear, "the server")
          assert.strictEqual(stray._tag, "Success")
        }))
    }

    const elsewhere: ReadonlyArray<string> = ["touch -1", "touch ", "touch 1 2", "touch 18446744073709551616"]
    for (const line of elsewhere) {
      it.scoped(`"${line}" is BadFormat, and the replies behind it stay in step`, () =>
        Effect.gen(function*() {
          const raw = yield* openRaw(yield* Beanstalkd)
          const failure = failureOf(touch, yield* raw.ask(`${line}\r\n`))
          assert.strictEqual(failure?.error._tag, "BadFormat")
          assert.isFalse(failure?.unsafe)
          assert.strictEqual(use.decode(yield* raw.ask("use default\r\n"), "the server")._tag, "Success")
        }))
    }

    it.scoped("a timeout beyond 2^63 seconds is BadFormat", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* Beanstalkd)
        const reserve = valid(BeanstalkProtocol.reserveWithTimeout(0))
        const failure = failureOf(reserve, yield* raw.ask("reserve-with-timeout 9223372036854775808\r\n"))
        assert.strictEqual(failure?.error._tag, "BadFormat")
      }))

    it.scoped("a line of more than 224 bytes is BadFormat", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* Beanstalkd)
        const failure = failureOf(use, yield* raw.ask(`use ${"x".repeat(300)}\r\n`))
        assert.strictEqual(failure?.error._tag, "BadFormat")
      }))

    it.scoped("a command the server does not know is UnknownCommand", () =>
      Effect.gen(function*() {
        const raw = yield* openRaw(yield* Beanstalkd)
        const failure = failureOf(touch, yield* raw.ask("Touch 1\r\n"))
        assert(failure?.error._tag === "UnknownCommand")
        assert.isFalse(failure.unsafe)
        assert.include(failure.error.message, "it needs beanstalkd 1.2 or later")
      }))

    it.scoped("the longest command there can be is understood", () =>
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

  layer(Beanstalkd.layer(), { excludeTestServices: true })("an argument that cannot be", (it) => {
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
      it.scoped(`${name} fails with InvalidArgument, and the server hears nothing of it`, () =>
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

  layer(Beanstalkd.layer(), { excludeTestServices: true })("a server in trouble", (it) => {
    it.scoped("in drain mode put fails with Draining, and everything else goes on", () =>
      Effect.gen(function*() {
        const server = yield* startBeanstalkd()
        const beanstalk = yield* openTo(server)
        const id = yield* beanstalk.put("before")
        yield* server.signal("SIGUSR1")
        const { draining } = yield* eventually(beanstalk.stats, (stats) => stats.draining === true)
        assert.isTrue(draining)
        const error = yield* failsWith(beanstalk.put("after"), "Draining")
        assert.strictEqual(error.command, "put")
        assert.strictEqual((yield* beanstalk.reserve).id, id)
        yield* beanstalk.release(id, { priority: 0 })
        assert.strictEqual((yield* beanstalk.reserve).id, id)
        yield* beanstalk.delete(id)
      }))

    it.scoped("without room in the binlog put and release fail with OutOfMemory, and bury with InternalError", () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const server = yield* startBeanstalkd({ args: ["-b", folder, "-s", "4096"] })
        const beanstalk = yield* openTo(server)
        const [buried, released] = [yield* beanstalk.put("one"), yield* beanstalk.put("two")]
        yield* beanstalk.reserve
        yield* beanstalk.reserve
        // Without its folder the server cannot begin the next file once this one is full.
        rmSync(folder, { recursive: true })
        const fill = (size: number) => failsWith(Effect.forever(beanstalk.put(new Uint8Array(size))), "OutOfMemory")
        const error = yield* Effect.zipRight(fill(1000), fill(0))
        assert.strictEqual(error.command, "put")
        yield* failsWith(beanstalk.bury(buried, 0), "InternalError")
        yield* failsWith(beanstalk.release(released, { priority: 0, delay: "1 second" }), "OutOfMemory")
        mkdirSync(folder)
        yield* beanstalk.put("there is room again")
      }))

    it.scoped.runIf(canLimitMemory)(
      "without memory put and release fail with Buried: the job exists",
      () =>
        Effect.gen(function*() {
          const server = yield* startBeanstalkd()
          const beanstalk = yield* openTo(server)
          // The list of ready jobs is full at 16,382 and would have to double next. There is memory left for some more
          // jobs, but not for that.
          const put = beanstalk.put("")
          const [first] = yield* Effect.all(Array.from({ length: 16_382 }, () => put), { concurrency: "unbounded" })
          assert(first !== undefined)
          yield* limitMemory(server, 200_000)
          const buriedByPut = yield* failsWith(put, "Buried")
          assert.strictEqual((yield* beanstalk.statsJob(buriedByPut.id)).state, "buried")
          yield* beanstalk.reserveJob(first)
          yield* put
          const buriedByRelease = yield* failsWith(beanstalk.release(first, { priority: 0 }), "Buried")
          assert.strictEqual(buriedByRelease.id, first)
          assert.strictEqual((yield* beanstalk.statsJob(first)).state, "buried")
          yield* beanstalk.bury(yield* Effect.map(beanstalk.reserve, (job) => job.id), 0)
        })
    )
  })
})
