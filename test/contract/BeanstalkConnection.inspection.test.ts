/** The commands that inspect jobs, tubes and the server, and those that administer tubes. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { failsWith, newTube, open, openOwnTube, openRaw, putOfEachState } from "../support/connections.ts"
import { Beanstalkd, ListeningBeanstalkd } from "../support/server.ts"
import { describeContract, describeListening } from "../support/servers.ts"

describeContract("the commands of a connection", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("looking and tidying", (it) => {
    it.scoped("peek returns a job in any tube and state, and changes nothing", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const { buried, delayed, ready, tube } = yield* putOfEachState(beanstalk)
        const held = yield* beanstalk.put("reserved", { tube })
        yield* beanstalk.reserveJob(held)
        for (const id of [ready, delayed, buried, held]) {
          const job = yield* beanstalk.peek(id)
          const { state } = yield* beanstalk.statsJob(id)
          assert.deepStrictEqual([job.id, yield* job.text()], [id, state])
        }
      }))

    it.scoped("peekReady, peekDelayed and peekBuried return the next job of the tube in use, or none", () =>
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

    it.scoped("peekReady, peekDelayed, peekBuried and kick act on the tube that they name", () =>
      Effect.gen(function*() {
        const { beanstalk, tube: used } = yield* openOwnTube()
        const { buried, delayed, ready, tube } = yield* putOfEachState(beanstalk)
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

    it.scoped("kickJob makes one buried or delayed job ready, in any tube", () =>
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

    it.scoped("statsJob returns every statistic of a job", () =>
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

    it.scoped("statsTube returns every statistic of a tube", () =>
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

    it.scoped("stats identifies the server, and has every key that it sends", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const { beanstalk } = yield* openOwnTube()
        const stats = yield* beanstalk.stats
        assert.strictEqual(stats.pid, server.pid)
        assert.strictEqual(stats.hostname, server.hostname)
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

    it.scoped("listTubes, listTubesWatched and listTubeUsed return the tubes that exist, are watched and are used", () =>
      Effect.gen(function*() {
        const { beanstalk, tube } = yield* openOwnTube()
        const [used, filled] = [yield* newTube, yield* newTube]
        yield* beanstalk.put("job", { tube: filled })
        yield* beanstalk.use(used)
        assert.includeMembers([...yield* beanstalk.listTubes].map(String), ["default", tube, used, filled])
        assert.deepStrictEqual([...yield* beanstalk.listTubesWatched].map(String), [tube])
        assert.strictEqual(yield* beanstalk.listTubeUsed, used)
      }))

    it.scoped("pauseTube prevents reserves until the pause has ended, rounded up to whole seconds, or is cancelled", () =>
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

    it.scoped("quit succeeds when the server has closed the connection, whose jobs are ready again", () =>
      Effect.gen(function*() {
        const { beanstalk: observer } = yield* openOwnTube()
        const { beanstalk } = yield* openOwnTube()
        const id = yield* beanstalk.put("job")
        yield* beanstalk.reserve
        yield* beanstalk.quit
        assert.strictEqual((yield* observer.statsJob(id)).state, "ready")
      }))

    it.scoped("no command is sent after a quit: it fails with ConnectionLost as NotSent", () =>
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
})

describeListening("the commands of a connection", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("looking at what is on its way", (it) => {
    it.scoped("a job that is still being uploaded has the state invalid", () =>
      Effect.gen(function*() {
        const { beanstalk } = yield* openOwnTube()
        const raw = yield* openRaw(yield* ListeningBeanstalkd)
        const before = yield* beanstalk.put("before")
        yield* raw.say("put 0 0 60 10\r\nhalf")
        const id = String(Number(before) + 1)
        const job = yield* beanstalk.statsJob(id).pipe(Effect.eventually)
        assert.strictEqual(job.state, "invalid")
      }))
  })
})
