/** The commands that act on many jobs: `purge`, `move`, `bury` and `kick`. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { essence, everyJob, putJobs, sorted, tallyOf, type Wanted } from "../support/bulk.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { at, startAt } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import type { Listening } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"

const wanted: ReadonlyArray<Wanted> = [
  { tube: "emails", state: "ready", body: "a", priority: 7, ttr: 90 },
  { tube: "emails", state: "ready", body: "b" },
  { tube: "emails", state: "buried", body: "a", priority: 8 },
  { tube: "emails", state: "buried", body: "\u001b[2J" },
  { tube: "emails", state: "delayed", body: "a" },
  { tube: "other", state: "ready", body: "a" },
  { tube: "other", state: "buried", body: "a" }
]

const urlOf = ({ target }: Pick<Listening, "target">) => "port" in target ? `127.0.0.1:${target.port}` : ""

describeListening("beanstalk acts on many jobs", ({ start }) => {
  const started = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server)
    yield* putJobs(connection, wanted)
    const run = (line: string, options: { readonly stdin?: string; readonly terminal?: boolean } = {}) =>
      at(server, line, { columns: 200, ...options })
    const left = (tube: string) =>
      Effect.map(everyJob(connection), (jobs) => tallyOf(jobs.filter((job) => job.tube === tube)))
    const ids = (tube: string, state: string) =>
      Effect.map(
        everyJob(connection),
        (jobs) => jobs.filter((job) => job.tube === tube && job.state === state).map(({ id }) => id)
      )
    return { server, connection, run, left, ids }
  })

  it.scopedLive("purge asks, and changes nothing unless the answer is yes", () =>
    Effect.gen(function*() {
      const { left, run } = yield* started
      const all = { ready: 2, delayed: 1, buried: 2 }
      const piped = yield* run("purge emails")
      assert.deepStrictEqual([piped.code, piped.stdout], [2, ""])
      assert.match(piped.stderr, /Delete 2 ready, 1 delayed and 2 buried jobs of tube emails on .*\? .*add --yes/)
      for (const stdin of ["n\n", "\n", "", "nay\n"]) {
        const { code, stderr, stdout } = yield* run("purge emails", { terminal: true, stdin })
        assert.deepStrictEqual([code, stdout], [1, ""])
        assert.include(stderr, "[y/N]")
      }
      assert.strictEqual(
        (yield* run("purge emails --dry-run")).stdout,
        "emails: 2 ready, 1 delayed and 2 buried jobs would be deleted.\n"
      )
      assert.strictEqual(
        (yield* run("purge '*' -n --json --state buried")).stdout,
        [
          `{"tube":"default","ready":0,"delayed":0,"buried":0}\n`,
          `{"tube":"emails","ready":0,"delayed":0,"buried":2}\n`,
          `{"tube":"other","ready":0,"delayed":0,"buried":1}\n`
        ].slice(1).join("")
      )
      assert.deepStrictEqual(yield* left("emails"), all)
      const { code, stdout } = yield* run("purge emails --state buried", { terminal: true, stdin: "y\n" })
      assert.strictEqual(code, 0)
      assert.match(stdout, /^emails: 2 buried jobs deleted in [\d.]+ m?s\.\n$/)
      assert.deepStrictEqual(yield* left("emails"), { ...all, buried: 0 })
      assert.strictEqual((yield* run("purge emails --state buried --yes")).code, 1)
      assert.strictEqual((yield* run("purge emials --yes")).code, 1)
    }))

  it.scopedLive("purge deletes what is selected and nothing else, in the tubes named", () =>
    Effect.gen(function*() {
      const { left, run } = yield* started
      assert.strictEqual((yield* run("purge emails --match zzz -y")).code, 1)
      assert.strictEqual((yield* run("purge emails --older-than 1h -y")).code, 1)
      const record = JSON.parse((yield* run("purge emails --match a --state ready,buried -y --json")).stdout)
      assert.deepInclude(record, { tube: "emails", ready: 1, delayed: 0, buried: 1, stopped: null })
      assert.isNumber(record.seconds)
      assert.deepStrictEqual(yield* left("emails"), { ready: 1, delayed: 1, buried: 1 })
      assert.strictEqual((yield* run("purge '*' --limit 1 -y")).code, 0)
      assert.deepStrictEqual(yield* left("emails"), { ready: 0, delayed: 1, buried: 1 })
      assert.strictEqual((yield* run("purge emails --ids-from - -y", { stdin: "4\n6\n7\n" })).code, 0)
      assert.deepStrictEqual(yield* left("emails"), { ready: 0, delayed: 1, buried: 0 })
      assert.deepStrictEqual(yield* left("other"), { ready: 1, delayed: 0, buried: 1 })
    }))

  it.scopedLive("move keeps what a job is, on the same server and to another", () =>
    Effect.gen(function*() {
      const { connection, run, server } = yield* started
      const other = yield* start()
      const emails = (yield* everyJob(connection)).filter(({ tube }) => tube === "emails").map(essence)
      const inTube = (tube: string) => sorted(emails.map((job) => Object.assign({}, job, { tube })))
      const moved = yield* run("move emails aside")
      assert.match(moved.stdout, /^emails: 2 ready, 1 delayed and 2 buried jobs moved to aside in [\d.]+ m?s\.\n$/)
      const now = (yield* everyJob(connection)).filter(({ tube }) => tube !== "other")
      assert.deepStrictEqual(sorted(now.map(essence)), inTube("aside"))
      const across = yield* run(`move aside aside --to-url ${urlOf(other)} --json`)
      assert.deepInclude(JSON.parse(across.stdout), { tube: "aside", ready: 2, delayed: 1, buried: 2, stopped: null })
      const there = yield* everyJob(yield* openTo(other))
      assert.deepStrictEqual(sorted(there.map(essence)), inTube("aside"))
      assert.strictEqual((yield* run("move aside x")).code, 1)
      assert.strictEqual((yield* run("move other other")).code, 2)
      assert.strictEqual((yield* run(`move other other --to-url ${urlOf(server)}`)).code, 2)
      assert.strictEqual((yield* run("move other other --to-url 127.0.0.1:1")).code, 3)
    }))

  it.scopedLive("move of a selection moves those jobs", () =>
    Effect.gen(function*() {
      const { left, run } = yield* started
      assert.strictEqual((yield* run("move emails aside --match ^a$ --state ready,delayed")).code, 0)
      assert.deepStrictEqual(yield* left("aside"), { ready: 1, delayed: 1, buried: 0 })
      assert.strictEqual((yield* run("move emails aside --state buried --limit 1")).code, 0)
      assert.deepStrictEqual(yield* left("aside"), { ready: 1, delayed: 1, buried: 1 })
      assert.deepStrictEqual(yield* left("emails"), { ready: 1, delayed: 0, buried: 1 })
    }))

  it.scopedLive("bury buries ready jobs, with the priority that each has, and kick brings back what is selected", () =>
    Effect.gen(function*() {
      const { connection, ids, run } = yield* started
      assert.match((yield* run("bury emails --match a")).stdout, /^emails: 1 ready job buried in /)
      assert.deepInclude(yield* connection.statsJob("1"), { state: "buried", pri: 7, ttr: 90 })
      assert.deepStrictEqual(yield* ids("emails", "buried"), ["1", "3", "4"])
      assert.match(
        (yield* run("bury emails --state delayed,ready")).stdout,
        /^emails: 1 ready and 1 delayed jobs buried/
      )
      assert.deepStrictEqual(yield* ids("emails", "buried"), ["1", "2", "3", "4", "5"])
      assert.strictEqual((yield* run("bury emails")).code, 1)
      assert.strictEqual(
        (yield* run("kick emails --match ^a$ --limit 2 -n")).stdout,
        "emails: 2 buried jobs would be kicked.\n"
      )
      assert.match((yield* run("kick emails --match ^a$ --limit 2")).stdout, /^emails: 2 buried jobs kicked in /)
      assert.deepStrictEqual(yield* ids("emails", "ready"), ["3", "5"])
      assert.match((yield* run("kick '*' --limit 2")).stdout, /emails: 2 buried jobs kicked in /)
      assert.deepStrictEqual(yield* ids("other", "buried"), ["7"])
    }))

  it.scopedLive("kick --state delayed kicks delayed jobs, although others are buried", () =>
    Effect.gen(function*() {
      const { ids, run } = yield* started
      assert.match((yield* run("kick emails --state delayed")).stdout, /^emails: 1 delayed job kicked in /)
      assert.deepStrictEqual(yield* ids("emails", "ready"), ["1", "2", "5"])
      assert.deepStrictEqual(yield* ids("emails", "buried"), ["3", "4"])
    }))

  it.scopedLive("asks before it acts on more than 1,000 jobs", () =>
    Effect.gen(function*() {
      const { left, run } = yield* started
      yield* run("put emails --lines -q", { stdin: "x\n".repeat(999) })
      for (const act of ["move emails aside", "bury emails", "purge emails"]) {
        assert.include((yield* run(act)).stderr, "add --yes", act)
      }
      assert.match(
        (yield* run("bury emails", { terminal: true, stdin: "y\n" })).stdout,
        /^emails: 1,001 ready jobs buried/
      )
      assert.include((yield* run("kick emails")).stderr, "Kick 1,003 buried jobs of tube emails")
      assert.strictEqual((yield* run("kick emails -y")).code, 0)
      assert.deepStrictEqual(yield* left("emails"), { ready: 1003, delayed: 1, buried: 0 })
    }))

  it.scopedLive("acts on those that were found if not all were, and says so with its exit code", () =>
    Effect.gen(function*() {
      const { left, run } = yield* started
      const { code, stderr, stdout } = yield* run("purge emails --match . --reach 4 -y")
      assert.strictEqual(code, 4)
      assert.include(stderr, "look further with --reach 40.")
      assert.match(stdout, /^emails: .* deleted in /)
      assert.strictEqual((yield* left("emails")).ready, 2)
    }))

  /** An act on 3,002 ready jobs, some of which are done. */
  const midway = (act: string) =>
    Effect.gen(function*() {
      const { connection, left, run, server } = yield* started
      yield* run("put emails --lines -q", { stdin: "x\n".repeat(3000) })
      const proxy = yield* ChaosProxy.make(server, { latency: "1 millis" })
      const running = yield* startAt(proxy, `${act} --state ready --json`)
      const ready = Effect.map(connection.statsTube("emails"), ({ currentJobsReady }) => currentJobsReady)
      yield* eventually(ready, (count) => count < 2500)
      return { connection, left, proxy, running }
    })

  it.scopedLive.each(["purge emails -y", "move emails aside -y", "bury emails -y"])(
    "when it is interrupted, tells exactly how many jobs it has done: %s",
    (act) =>
      Effect.gen(function*() {
        const { connection, left, running } = yield* midway(act)
        yield* running.interrupt
        const record = JSON.parse(running.stdout.text)
        yield* eventually(connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 0)
        assert.strictEqual(record.stopped, "interrupted")
        assert.strictEqual(record.ready, 3002 - (yield* left("emails")).ready)
        assert.match(
          running.stderr.text,
          /^Interrupted after [\d,]+ jobs were \w+\. None is lost and none is reserved; [\d,]+ are left\. Run it again to go on\.\n$/
        )
      })
  )

  it.scopedLive.each(["purge emails -y", "move emails aside -y", "bury emails -y"])(
    "when the connection is lost, tells how many jobs it has done, and exits 4: %s",
    (act) =>
      Effect.gen(function*() {
        const { connection, left, proxy, running } = yield* midway(act)
        yield* proxy.close
        const { code, stderr, stdout } = yield* running.ended
        const record = JSON.parse(stdout)
        yield* eventually(connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 0)
        assert.deepStrictEqual([code, record.stopped], [4, "error"], stderr)
        const gone = 3002 - (yield* left("emails")).ready
        assert.isAtLeast(gone, record.ready)
        assert.isAtMost(gone, record.ready + 256)
        assert.match(JSON.parse(stderr).error.message, /^stopped after [\d,]+ jobs were \w+: /)
      })
  )
})
