/** `beanstalk doctor`: what it finds, and that it finds nothing where nothing is wrong. */
import { assert, describe, it } from "@effect/vitest"
import type { BeanstalkClient, Stats } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { diagnose, type Seen } from "../../src/cli/doctor/diagnosis.ts"
import { asArguments, type Finding, worstFirst } from "../../src/cli/doctor/finding.ts"
import { findingsOf, suspectsAmong } from "../../src/cli/doctor/jobs.ts"
import { isPublic, reachedAt } from "../../src/cli/doctor/publicAddress.ts"
import { startBeanstalkd, temporaryFolder } from "../support/beanstalkd.ts"
import { at } from "../support/cli.ts"
import { idOf, openTo } from "../support/connections.ts"
import { describeReal } from "../support/real.ts"
import type { Listening } from "../support/server.ts"
import { describeListening, describeOnOne } from "../support/servers.ts"
import { jobStats } from "../support/stats.ts"

/** What it finds, but that the machine is slow. */
const found = (server: Pick<Listening, "target">, flags = "") =>
  Effect.map(at(server, `doctor ${flags} --json`), ({ code, stderr, stdout }) => {
    const lines = stdout.split("\n").filter((line) => line !== "")
    const findings: ReadonlyArray<Finding> = lines.map((line) => JSON.parse(line))
    assert.strictEqual(code, findings.length === 0 ? 0 : 1, stderr)
    return findings.filter(({ name }) => name !== "round-trip")
  })

const names = (findings: ReadonlyArray<Finding>) => findings.map(({ name }) => name)

describeListening("beanstalk doctor", ({ start }) => {
  it.scopedLive("finds what is wrong with tubes, the worst first, and says what to do", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server, { watch: ["worked-on"] })
      yield* Effect.fork(connection.reserve)
      const other = yield* openTo(server)
      yield* other.put("x", { tube: "worked-on", delay: "1 hour" })
      for (const tube of ["failed", "alone", "alone", "x;$(reboot)"]) yield* other.put("x", { tube })
      yield* other.bury((yield* other.reserveJob("2")).id, 0)
      for (const tube of ["alone", "x;$(reboot)"]) yield* other.pauseTube(tube, "1 hour")
      const findings = yield* found(server)
      assert.deepStrictEqual(names(findings), ["unwatched", "buried", "paused", "binlog"])
      const [unwatched, buried, paused] = findings
      assert.deepStrictEqual(unwatched?.tubes, [{ tube: "alone", jobs: 2 }, { tube: "x;$(reboot)", jobs: 1 }])
      assert.match(unwatched?.advice ?? "", /: beanstalk work alone 'x;\$\(reboot\)' -- COMMAND$/)
      assert.match(buried?.text ?? "", /^1 buried job, .*: 1 in failed\.$/)
      assert.match(paused?.advice ?? "", /: beanstalk resume alone 'x;\$\(reboot\)'$/)
    }))

  it.scopedLive("finds drain mode, and with --deep says that it could not look at the jobs", () =>
    Effect.gen(function*() {
      const server = yield* start()
      yield* openTo(server)
      yield* server.drain
      const { code, stderr, stdout } = yield* at(server, "doctor --deep")
      assert.strictEqual(code, 1)
      assert.match(stdout, /^critical {2}The server is in drain mode: it refuses new jobs\.\n {10}Restart it/)
      assert.include(stderr, "Not all jobs were looked at: the server refuses the put")
    }))

  it.scopedLive("tells what is ok with -v, and each server's findings by its address", () =>
    Effect.gen(function*() {
      const [server, other] = [yield* start(), yield* start()]
      yield* openTo(server)
      yield* openTo(other)
      const address = ({ target }: Listening) => "port" in target ? `127.0.0.1:${target.port}` : target.path
      const { stdout } = yield* at(server, `doctor -v -u ${address(server)},${address(other)}`)
      assert.deepStrictEqual(stdout.split("\n").filter((line) => line.startsWith("127.")), [server, other].map(address))
      assert.include(stdout, "ok        No job is buried.\n")
      const partly = yield* at(server, `doctor -u ${address(server)},127.0.0.1:1`)
      assert.deepStrictEqual([partly.code, partly.stdout.includes("binlog")], [3, true])
      assert.include(partly.stderr, "cannot reach beanstalkd at 127.0.0.1:1")
    }))
})

describeOnOne("beanstalk doctor", {}, ({ start }) => {
  it.scopedLive("finds nothing wrong with a server that is as it should be, and each fault by itself", () =>
    Effect.gen(function*() {
      const stats = { ...yield* Effect.flatMap(openTo(yield* start()), ({ stats }) => stats), binlogCurrentIndex: 1 }
      const healthy: Seen = { stats, tubes: [], roundTrip: 0.005, publicAddresses: [] }
      const problems = (change: Partial<Seen>, ofStats: Partial<Seen["stats"]> = {}) =>
        names(
          diagnose({ ...healthy, ...change, stats: { ...stats, ...ofStats } }).filter(({ severity }) =>
            severity !== "ok"
          )
        )
      assert.deepStrictEqual(problems({}), [])
      assert.deepStrictEqual(problems({ publicAddresses: ["203.0.113.5:11300"] }), ["public-address"])
      assert.deepStrictEqual(problems({ roundTrip: 0.0051 }), ["round-trip"])
      assert.deepStrictEqual(problems({}, { draining: true }), ["draining"])
      assert.deepStrictEqual(problems({}, { binlogCurrentIndex: 0 }), ["binlog"])
      assert.deepStrictEqual(problems({}, { jobTimeouts: 11, totalJobs: 1000 }), ["timeouts"])
      assert.deepStrictEqual(problems({}, { jobTimeouts: 10, totalJobs: 1000 }), [])
      for (const version of ["1.10", "1.11+5+gabc", "0.9"]) {
        assert.deepStrictEqual(problems({}, { version }), ["version"])
      }
      for (const version of ["1.13", "2.0", "1.12+2", "other"]) assert.deepStrictEqual(problems({}, { version }), [])
    }))

  it.scopedLive("takes for the same server only what has its id", () =>
    Effect.gen(function*() {
      const [server, other] = [yield* start(), yield* start()]
      const port = "port" in server.target ? `${server.target.port}` : ""
      const id = yield* idOf(server)
      assert.deepStrictEqual(yield* reachedAt({ id, port }, ["127.0.0.1", "127.0.0.2"]), [`127.0.0.1:${port}`])
      assert.deepStrictEqual(yield* reachedAt({ id: yield* idOf(other), port }, ["127.0.0.1"]), [])
    }))
})

describeReal("beanstalk doctor, on a real beanstalkd with a binlog", () => {
  it.scopedLive("finds nothing where nothing is wrong", () =>
    Effect.gen(function*() {
      const server = yield* startBeanstalkd({ args: ["-b", yield* temporaryFolder] })
      yield* Effect.flatMap(openTo(server), (connection) =>
        connection.put("x".repeat(65_533), { tube: "t", delay: "1 hour" }))
      assert.deepStrictEqual(yield* found(server, "--deep"), [])
    }))

  it.scopedLive("finds jobs that a restart would lose", () =>
    Effect.gen(function*() {
      const server = yield* startBeanstalkd({ args: ["-b", yield* temporaryFolder] })
      const connection = yield* openTo(server)
      yield* connection.put("x".repeat(65_534), { tube: "t", delay: "1 hour" })
      yield* connection.put("x".repeat(65_533), { tube: "t", delay: "1 hour" })
      yield* connection.put("x".repeat(65_535), { tube: "t", delay: "1 hour" })
      const [finding, ...more] = yield* found(server, "--deep")
      assert.deepStrictEqual([finding?.name, finding?.ids], ["too-large", ["3", "1"]])
      assert.deepStrictEqual(more, [])
    }))
})

describe("beanstalk doctor", () => {
  it.effect("finds reservations that the server forgot, jobs that a restart loses, and negative ages", () =>
    Effect.gen(function*() {
      const job = (
        id: number,
        change: Partial<Omit<Stats.JobStats, "unknown">>,
        size = 0
      ): BeanstalkClient.ListedJob => ({
        stats: jobStats(id, "emails", change),
        body: new Uint8Array(size)
      })
      const jobs = Stream.make(
        job(1, { age: -3600 }),
        job(2, { state: "reserved", timeLeft: -7 }),
        job(3, { state: "reserved", timeLeft: 0 }),
        job(4, { state: "delayed", timeLeft: -1 }),
        job(5, {}, 8),
        job(6, {}, 9)
      )
      const findings = findingsOf(yield* suspectsAmong(jobs, 10), 10)
      assert.deepStrictEqual(findings.map(({ ids, name, severity }) => [name, severity, ids]), [
        ["overdue", "critical", ["2"]],
        ["too-large", "critical", ["6"]],
        ["clock", "warning", ["1"]]
      ])
      const none = findingsOf(yield* suspectsAmong(Stream.empty, 10), undefined)
      assert.deepStrictEqual(none.map(({ name, severity }) => [name, severity]), [["overdue", "ok"], ["clock", "ok"]])
    }))

  it("knows the addresses that everybody can have a route to", () => {
    for (const address of ["203.0.113.5", "8.8.8.8", "2001:db8::1"]) assert.isTrue(isPublic(address), address)
    const others = ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "::1"]
    for (const address of [...others, "fe80::1", "fd00::1", "::ffff:10.0.0.1", "queue.internal"]) {
      assert.isFalse(isPublic(address), address)
    }
  })

  it("puts the worst first, and nothing into a shell that it would carry out", () => {
    const finding = (severity: Finding["severity"], name: string): Finding => ({ name, severity, text: "" })
    const mixed = [finding("ok", "a"), finding("warning", "b"), finding("critical", "c"), finding("warning", "d")]
    assert.deepStrictEqual(names(worstFirst(mixed)), ["c", "b", "d", "a"])
    assert.strictEqual(asArguments(["a.b", "x;$(reboot)"]), "a.b 'x;$(reboot)'")
    assert.strictEqual(asArguments(["a", "b", "c", "d", "e", "f"]), "TUBE…")
  })
})
