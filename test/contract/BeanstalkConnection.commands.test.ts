/** The commands that put, reserve and finish jobs. */
import { assert, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  eventually,
  failsWith,
  newTube,
  open,
  openOwnTube,
  putOfEachState,
  sent,
  traced
} from "../support/connections.ts"
import { Beanstalkd } from "../support/server.ts"
import { describeContract } from "../support/servers.ts"

describeContract("the commands of a connection", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("producing", (it) => {
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

    it.scoped("put sends priority, delay and time to run to the server", () =>
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

    it.scoped("put accepts the smallest and the largest values that the server accepts", () =>
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

    it.scoped("the server raises a time to run of zero to one second", () =>
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
      it.scoped(`a body of ${name} is reserved as it was put`, () =>
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

    it.scoped("put with a tube puts the job there, and does not change the tube in use", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const other = yield* newTube
        const there = yield* beanstalk.put("there", { tube: other })
        const here = yield* beanstalk.put("here")
        assert.strictEqual((yield* beanstalk.statsJob(there)).tube, other)
        assert.strictEqual((yield* beanstalk.statsJob(here)).tube, tube)
        assert.strictEqual(yield* beanstalk.listTubeUsed, tube)
      }))

    it.scoped("use succeeds with the name of the tube, and later jobs are put there", () =>
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

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("working", (it) => {
    it.scoped("reserve returns the most urgent job first, and the oldest of equal priority", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const late = yield* beanstalk.put("late", { priority: 10 })
        const first = yield* beanstalk.put("first", { priority: 1 })
        const second = yield* beanstalk.put("second", { priority: 1 })
        const reserved = yield* Effect.all([beanstalk.reserve, beanstalk.reserve, beanstalk.reserve])
        assert.deepStrictEqual(reserved.map((job) => job.id), [first, second, late])
        assert.strictEqual((yield* beanstalk.statsJob(first)).state, "reserved")
      }))

    it.scoped("reserve waits until a job is put", () =>
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

    it.scoped("of four connections that wait for a tube, the server serves the first, then the second, the fourth and the third", () =>
      Effect.gen(function*() {
        const { beanstalk: producer, tube } = yield* openOwnTube()
        const reserving = yield* Effect.forEach([1, 2, 3, 4], (count) =>
          Effect.gen(function*() {
            const worker = yield* open({ watch: [tube] })
            const fiber = yield* Effect.fork(worker.reserve)
            yield* eventually(producer.statsTube(tube), (stats) => stats.currentWaiting === count)
            return fiber
          }))
        const [one, two, three, four] = yield* Effect.all([
          producer.put("one"),
          producer.put("two"),
          producer.put("three"),
          producer.put("four")
        ])
        const served = yield* Effect.forEach(reserving, (fiber) => Fiber.join(fiber))
        assert.deepStrictEqual(served.map((job) => job.id), [one, two, four, three])
      }))

    it.scoped("a put after a blocking reserve may serve a connection that has just been served", () =>
      Effect.gen(function*() {
        const { beanstalk: producer } = yield* openOwnTube()
        const { beanstalk: worker, tube } = yield* openOwnTube()
        const { beanstalk: helper, tube: helpers } = yield* openOwnTube()
        const reserving = yield* Effect.fork(
          Effect.all([worker.reserve, worker.reserve], { concurrency: "unbounded" })
        )
        const helping = yield* Effect.fork(
          Effect.all([helper.reserve, helper.put("second", { tube })], { concurrency: "unbounded" })
        )
        yield* eventually(producer.statsTube(tube), (stats) => stats.currentWaiting === 1)
        yield* eventually(producer.statsTube(helpers), (stats) => stats.currentWaiting === 1)
        const [first] = yield* Effect.all([
          producer.put("first", { tube }),
          producer.put("help", { tube: helpers })
        ], { concurrency: "unbounded" })
        const [, second] = yield* Fiber.join(helping)
        const served = yield* Fiber.join(reserving)
        assert.deepStrictEqual(served.map((job) => job.id), [first, second])
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

    it.scoped("reserve with a timeout returns a ready job", () =>
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

    it.scoped("a reserve fails with DeadlineSoon while a held job has less than a second left", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        yield* beanstalk.put("short", { ttr: "1 second" })
        const [job, plain, long, short] = yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon"),
          failsWith(beanstalk.reserveWithTimeout("1 hour"), "DeadlineSoon"),
          failsWith(beanstalk.reserveWithTimeout(0), "DeadlineSoon")
        ], { concurrency: "unbounded" })
        assert.strictEqual(yield* job.text(), "short")
        assert.deepStrictEqual(
          [plain.command, long.command, short.command],
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
        assert.include(error.message, "less than a second left to run")
      }))

    it.scoped("touch restarts the time to run", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("short", { ttr: "2 seconds" })
        const [, , before] = yield* Effect.all([
          beanstalk.reserve,
          failsWith(beanstalk.reserve, "DeadlineSoon"),
          beanstalk.statsJob(id),
          beanstalk.touch(id)
        ], { concurrency: "unbounded" })
        // A command of its own: to the embedded server, commands in one write all arrive at the same time.
        const after = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([before.timeLeft, after.timeLeft], [0, 1])
      }))

    it.scoped("a job whose time to run has ended is ready again, and has its timeout counted", () =>
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
        const { buried, delayed, ready } = yield* putOfEachState(beanstalk)
        for (const id of [ready, delayed, buried]) {
          const job = yield* beanstalk.reserveJob(id)
          assert.strictEqual(job.id, id)
          assert.strictEqual((yield* beanstalk.statsJob(id)).state, "reserved")
        }
      }))

    it.scoped("reserveJob fails with JobNotFound for a reserved job, even of this connection", () =>
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

    it.scoped("release makes a job ready or delayed, with a new priority", () =>
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

    it.scoped("bury makes a job buried, with a new priority", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job", { priority: 5 })
        yield* beanstalk.reserve
        yield* beanstalk.bury(id, 6)
        const job = yield* beanstalk.statsJob(id)
        assert.deepStrictEqual([job.state, job.pri, job.buries], ["buried", 6, 1])
        yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
      }))

    it.scoped("delete, release, bury and touch fail with JobNotFound for a job that another connection holds", () =>
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

    it.scoped("ignore succeeds with the number of tubes still watched, even if the tube was not watched", () =>
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

    it.scoped("closing the scope closes the connection, and its jobs are ready again, unchanged", () =>
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
})
