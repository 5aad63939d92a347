/** Commands for several servers together: as on one, with ids that tell the server. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkCluster } from "effect-beanstalk"
import { NodeCluster } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { readFileSync, writeFileSync } from "node:fs"
import { join, normalize } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { everyJob, putJobs, tallyOf, type Wanted } from "../support/bulk.ts"
import { root } from "../support/bundled.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { beanstalk, start as startCommand, type Surroundings, words } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import type { Target } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"

/** Of each server. */
const wanted: ReadonlyArray<Wanted> = [
  { tube: "emails", state: "ready", body: "a" },
  { tube: "emails", state: "delayed", body: "b" },
  { tube: "emails", state: "buried", body: "c" }
]

const addressOf = (target: Target): string => "port" in target ? `127.0.0.1:${target.port}` : ""

const many = (count: number) => "x\n".repeat(count)

describeListening("beanstalk, for two servers", ({ start }) => {
  const startOne = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server)
    yield* putJobs(connection, wanted)
    const address = addressOf(server.target)
    /** How many jobs of a tube are ready, delayed and buried. */
    const left = (tube: string) =>
      Effect.map(everyJob(connection), (jobs) => {
        const { buried, delayed, ready } = tallyOf(jobs.filter((job) => job.tube === tube))
        return [ready, delayed, buried]
      })
    return { ...server, connection, address, left }
  })

  const surroundings = (url: string, { env, ...own }: Surroundings): Surroundings => ({
    columns: 200,
    ...own,
    env: { PATH: process.env["PATH"] ?? "", BEANSTALKD_URL: url, ...env }
  })

  const startTwo = Effect.gen(function*() {
    const [one, two] = [yield* startOne, yield* startOne]
    const url = `${one.address},${two.address}`
    const run = (line: string, options: Surroundings = {}) => beanstalk(words(line), surroundings(url, options))
    const left = (tube: string) => Effect.all([one.left(tube), two.left(tube)])
    const idsOf = (line: string) =>
      Effect.map(run(`jobs ${line} --ids`), ({ stdout }) => stdout.split("\n").filter((id) => id !== ""))
    return { one, two, url, both: `${one.address} and ${two.address}`, run, left, idsOf }
  })

  it.scopedLive("acts on the jobs of both, says where, and counts them together", () =>
    Effect.gen(function*() {
      const { both, left, one, run, two } = yield* startTwo
      const urls = [one, two].map(({ address }) => `beanstalk://${address}`)
      const acts = [
        ["kick emails", `2 buried jobs kicked on ${both}`, [2, 1, 0]],
        ["bury emails", `4 ready jobs buried on ${both}`, [0, 1, 2]],
        ["kick emails --match ^c$", `2 buried jobs kicked on ${both}`, [1, 1, 1]],
        ["kick emails --state delayed", `2 delayed jobs kicked on ${both}`, [2, 0, 1]],
        ["move emails aside --yes", `4 ready and 2 buried jobs moved on ${both} to aside`, [0, 0, 0]],
        ["move aside emails --match ^c$", `2 ready jobs moved on ${both} to emails`, [1, 0, 0]]
      ] as const
      for (const [act, said, now] of acts) {
        const { code, stderr, stdout } = yield* run(act)
        assert.strictEqual(code, 0, stderr)
        assert.include(stdout, `: ${said} in `)
        assert.deepStrictEqual(yield* left("emails"), [[...now], [...now]], act)
      }
      const { code, stderr } = yield* run("purge aside")
      assert.strictEqual(code, 2)
      assert.include(stderr, `Delete 2 ready and 2 buried jobs of tube aside on ${both}? There is no terminal`)
      const limited = yield* run("purge aside --limit 3 -y --json")
      assert.deepInclude(JSON.parse(limited.stdout), { tube: "aside", stopped: null, urls })
      assert.strictEqual((yield* left("aside")).flat().reduce((a, b) => a + b), 1)
      assert.include((yield* run("purge '*' -n")).stdout, `emails: 2 ready jobs would be deleted on ${both}.\n`)
    }))

  it.scopedLive("pauses, resumes and waits for both, also if only one has the tube", () =>
    Effect.gen(function*() {
      const { both, one, run, two } = yield* startTwo
      assert.strictEqual(
        (yield* run("pause emails 5m")).stdout,
        `emails: paused for 5m on ${both}; no worker waits for its jobs.\n`
      )
      for (const { connection } of [one, two]) {
        assert.strictEqual((yield* connection.statsTube("emails")).pause, 300)
      }
      assert.strictEqual((yield* run("resume emails")).code, 0)
      yield* two.connection.put("x", { tube: "other" })
      assert.strictEqual((yield* run("pause other 1h --json")).code, 0)
      const listed = yield* run("jobs emails other --ids --limit 7")
      assert.deepStrictEqual([listed.code, listed.stdout.trim().split("\n").length], [0, 7])
      assert.strictEqual((yield* run("jobs other --ids")).code, 0)
      assert.strictEqual((yield* two.connection.statsTube("other")).pause, 3600)
      const late = yield* run("wait emails --for 1ms")
      assert.strictEqual(late.code, 1)
      assert.include(late.stderr, "emails still has 2 ready, 0 reserved and 2 delayed jobs.")
      assert.strictEqual((yield* run("wait nothing")).code, 0)
    }))

  it.scopedLive("ids tell the server: they are those of a cluster of these URLs, in whichever order", () =>
    Effect.gen(function*() {
      const { both, idsOf, left, one, run, two, url } = yield* startTwo
      const put = yield* run("put emails hello")
      const id = put.stdout.trim()
      const cluster = yield* Effect.provide(
        BeanstalkCluster.BeanstalkCluster,
        NodeCluster.layer({ urls: [two, one].map(({ address }) => `beanstalk://${address}`) })
      )
      assert.isTrue(Option.isSome(cluster.locate(id)))
      const reversed = { env: { BEANSTALKD_URL: url.split(",").toReversed().join(",") } }
      assert.strictEqual((yield* run(`job ${id} --raw`, reversed)).stdout, "hello")
      const there = JSON.parse((yield* run(`job ${id} --json`)).stdout)
      assert.strictEqual(there.id, id)
      assert.include([one, two].map(({ address }) => `beanstalk://${address}`), there.url)
      assert.strictEqual((yield* run(`delete ${id}`)).stdout, `1 job deleted on ${both}.\n`)

      const buried = yield* idsOf("emails --state buried")
      assert.strictEqual(buried.length, 2)
      assert.strictEqual((yield* run(`kick-job ${buried.join(" ")} 1`)).code, 2, "1 is of either server")
      assert.strictEqual((yield* run(`kick-job ${buried.join(" ")}`)).stdout, `2 jobs kicked on ${both}.\n`)
      const ready = yield* idsOf("emails --state ready --match ^c$")
      assert.sameMembers(ready, buried)
      const deleted = yield* run("delete - --json", { stdin: ready.join("\n") })
      assert.deepInclude(JSON.parse(deleted.stdout), { deleted: 2, missing: 0 })
      assert.deepStrictEqual(yield* left("emails"), [[1, 1, 0], [1, 1, 0]])

      const [delayed = ""] = yield* idsOf("emails --state delayed")
      assert.strictEqual((yield* run(`wait --job ${delayed} --for 1ms`)).code, 1)
      assert.strictEqual((yield* run("purge emails --ids-from - -y", { stdin: delayed })).code, 0)
      assert.strictEqual((yield* run(`wait --job ${delayed}`)).code, 0)
      assert.strictEqual((yield* run("purge emails --ids-from - -y", { stdin: "1\n" })).code, 2)
    }))

  it.scopedLive("an id of one server is refused for several, and one of several for one server", () =>
    Effect.gen(function*() {
      const { idsOf, left, one, run } = yield* startTwo
      const [id = ""] = yield* idsOf("emails")
      const elsewhere = 2n ** 63n
      for (const command of ["delete", "kick-job", "job", "wait --job"]) {
        const own = yield* run(`${command} 1`)
        assert.deepStrictEqual([own.code, own.stdout], [2, ""], command)
        assert.include(own.stderr, "1 is the id of a job on one server: ")
        const alone = yield* run(`${command} ${id} -u ${one.address}`)
        assert.deepStrictEqual([alone.code, alone.stdout], [2, ""], command)
        assert.include(alone.stderr, `${id} is the id of a job on one of several servers: give all of them with --url.`)
        assert.include((yield* run(`${command} ${elsewhere}`)).stderr, `job ${elsewhere} is on none of these servers`)
      }
      const file = join(yield* temporaryFolder, "ids")
      writeFileSync(file, `${id}\n1\n`)
      for (
        const command of [
          "delete -",
          "purge emails --ids-from - -y",
          `export --ids-from ${file}`,
          `jobs --ids-from ${file}`
        ]
      ) {
        const mixed = yield* run(command, { stdin: `${id}\n1\n` })
        assert.strictEqual(mixed.code, 2, command)
        assert.include(mixed.stderr, "1 is the id of a job on one server: ", command)
      }
      assert.strictEqual((yield* run("export --to 4")).code, 2)
      assert.strictEqual((yield* run("jobs --to 4")).code, 2)
      assert.deepStrictEqual(yield* left("emails"), [[1, 1, 1], [1, 1, 1]])
    }))

  it.scopedLive("lists and exports the jobs of both, at most --limit in all, and imports them again", () =>
    Effect.gen(function*() {
      const { both, idsOf, left, run } = yield* startTwo
      assert.strictEqual((yield* idsOf("emails")).length, 6)
      for (const limit of [1, 4]) assert.strictEqual((yield* idsOf(`emails --limit ${limit}`)).length, limit)
      const [first = ""] = yield* idsOf("emails --limit 1")
      assert.isAtLeast((yield* idsOf(`emails --to ${first}`)).length, 4)
      const file = join(yield* temporaryFolder, "jobs.jsonl")
      assert.strictEqual((yield* run(`export emails -o ${file}`)).code, 0)
      const records = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line))
      assert.sameMembers(records.map(({ id }) => id), yield* idsOf("emails"))
      assert.strictEqual((yield* run("purge emails -y")).code, 0)
      assert.include((yield* run(`import ${file}`)).stdout, `: 2 ready, 2 delayed and 2 buried jobs put on ${both} in `)
      const [one = [], two = []] = yield* left("emails")
      assert.deepStrictEqual(one.map((count, state) => count + (two[state] ?? 0)), [2, 2, 2])
    }))

  it.scopedLive("moves the jobs of both to one other server, and not into the tube where they are", () =>
    Effect.gen(function*() {
      const { left, one, run } = yield* startTwo
      const other = yield* startOne
      const several = yield* run(`move emails x --to-url ${one.address},${other.address}`)
      assert.deepStrictEqual([several.code, several.stdout], [2, ""])
      assert.include(several.stderr, "--to-url: give one server, since ")
      for (const address of [one.address, one.address.replace("127.0.0.1", "localhost")]) {
        assert.strictEqual((yield* run(`move emails emails --to-url ${address}`)).code, 2)
      }
      assert.deepStrictEqual(yield* left("emails"), [[1, 1, 1], [1, 1, 1]])
      assert.strictEqual((yield* run(`move emails emails --to-url ${other.address}`)).code, 0)
      assert.deepStrictEqual(yield* other.left("emails"), [3, 3, 3])
      assert.deepStrictEqual(yield* left("emails"), [[0, 0, 0], [0, 0, 0]])
    }))

  it.scopedLive("takes the jobs of both, and works on both", () =>
    Effect.gen(function*() {
      const { one, run, two, url } = yield* startTwo
      assert.strictEqual((yield* run("take emails --all")).stdout, "a\na\n")
      const none = yield* run("take emails")
      assert.strictEqual(none.code, 1)
      yield* one.connection.put("only here", { tube: "here" })
      assert.strictEqual((yield* run("take 'her*' --json")).code, 0)

      const following = yield* startCommand(words("take emails --follow"), surroundings(url, {}))
      yield* one.connection.put("1", { tube: "emails" })
      yield* eventually(Effect.sync(() => following.stdout.text), (text) => text === "1\n")
      yield* two.connection.put("2", { tube: "emails" })
      yield* eventually(Effect.sync(() => following.stdout.text), (text) => text === "1\n2\n")
      yield* eventually(two.connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 0)
      yield* following.interrupt
      assert.strictEqual(following.stderr.text, "Interrupted after 2 jobs were taken.\n")

      yield* one.connection.put("1", { tube: "emails" })
      yield* two.connection.put("2", { tube: "emails" })
      const file = join(yield* temporaryFolder, "out")
      writeFileSync(file, "")
      const working = yield* startCommand(
        words(`work emails -- sh -c 'cat >> ${file}; echo $BEANSTALK_JOB_ID >> ${file}.ids'`),
        surroundings(url, {})
      )
      yield* eventually(Effect.sync(() => readFileSync(file, "utf8")), (text) => text.length === 2)
      yield* eventually(
        Effect.all([one.connection.stats, two.connection.stats]),
        (all) => all.every(({ currentJobsReserved }) => currentJobsReserved === 0)
      )
      yield* working.interrupt
      assert.include(working.stderr.text, "2 jobs done, 0 failures, 0 buried, 0 lost.\n")
      for (const id of readFileSync(`${file}.ids`, "utf8").trim().split("\n")) assert.isAbove(Number(id), 2 ** 48)
    }))

  it.scopedLive("does nothing if one server cannot be reached, and says which", () =>
    Effect.gen(function*() {
      const { one } = yield* startTwo
      const url = `${one.address},127.0.0.1:1`
      const acts = [
        "kick emails",
        "bury emails",
        "purge emails -y",
        "move emails aside",
        "pause emails 5m",
        "resume emails",
        "export",
        "import",
        "wait nothing"
      ]
      const stdin = `{"tube":"new","body":"x"}\n`
      for (const act of acts) {
        const { code, stderr, stdout } = yield* beanstalk(words(act), surroundings(url, { stdin }))
        assert.deepStrictEqual([code, stdout], [3, ""], act)
        assert.match(stderr, /^beanstalk: cannot reach beanstalkd at 127\.0\.0\.1:1: connection refused\./, act)
      }
      const json = yield* beanstalk(words("purge emails -y --json"), surroundings(url, {}))
      assert.strictEqual(JSON.parse(json.stderr).error.tag, "ConnectFailed")
      assert.deepStrictEqual(yield* one.left("emails"), [1, 1, 1])
      assert.strictEqual((yield* one.connection.statsTube("emails")).pause, 0)
      for (const look of ["jobs emails --match nothing", "jobs nothing", "tubes default --nonempty"]) {
        const { code, stderr } = yield* beanstalk(words(look), surroundings(url, {}))
        assert.strictEqual(code, 3, look)
        assert.include(stderr, "cannot reach beanstalkd at 127.0.0.1:1", look)
        assert.notInclude(stderr, " or 127.0.0.1:1", look)
      }
      const none = yield* beanstalk(words("put emails x"), surroundings("127.0.0.1:1,127.0.0.1:2", {}))
      assert.strictEqual(none.code, 3)
      assert.include(none.stderr, "127.0.0.1:1")
      assert.include(none.stderr, "127.0.0.1:2")
    }))

  it.scopedLive("puts, takes and works with the others if one server cannot be reached, and says which", () =>
    Effect.gen(function*() {
      const { one } = yield* startTwo
      const url = `${one.address},127.0.0.1:1`
      const unreachable =
        "beanstalk: cannot reach beanstalkd at 127.0.0.1:1: connection refused. Is it running, and is the address right?\n"
      const run = (line: string, stdin = "") => beanstalk(words(line), surroundings(url, { stdin }))
      const put = yield* run("put emails hello")
      assert.deepStrictEqual([put.code, put.stderr], [0, unreachable])
      assert.strictEqual((yield* run("put emails -q --lines", "x\n".repeat(100))).code, 0)
      assert.deepStrictEqual(yield* one.left("emails"), [102, 1, 1])
      const taken = yield* run("take emails --all")
      assert.deepStrictEqual([taken.code, taken.stderr], [0, unreachable])
      assert.strictEqual(taken.stdout, `a\nhello\n${"x\n".repeat(100)}`)
      yield* one.connection.put("x", { tube: "emails" })
      const working = yield* startCommand(words("work 'emai*' -- true"), surroundings(url, {}))
      yield* eventually(one.left("emails"), ([ready]) => ready === 0)
      yield* working.interrupt
      assert.include(working.stderr.text, unreachable)
    }))

  it.scopedLive("acts on named jobs as far as their servers can be reached", () =>
    Effect.gen(function*() {
      const { idsOf, one, two } = yield* startTwo
      const line = yield* ChaosProxy.make(two)
      const url = `${one.address},${addressOf(line.target)}`
      const run = (command: string) => beanstalk(words(command), surroundings(url, {}))
      const { stdout } = yield* run("jobs emails --state delayed,buried --json")
      const jobs = stdout.trim().split("\n").map((record) => JSON.parse(record))
      const [there, more] = jobs.filter((job) => job.url === `beanstalk://${one.address}`).map(({ id }) => id)
      const [away] = jobs.filter((job) => job.url !== `beanstalk://${one.address}`).map(({ id }) => id)
      yield* line.close
      assert.deepInclude(yield* run(`kick-job ${there}`), { code: 0, stderr: "" })
      const none = yield* run(`delete ${away}`)
      assert.deepStrictEqual([none.code, none.stdout], [3, ""])
      assert.match(none.stderr, /^beanstalk: cannot reach beanstalkd at [^\n]*\n$/)
      const some = yield* run(`delete ${away} ${more}`)
      assert.deepStrictEqual([some.code, some.stdout], [4, ""])
      assert.match(some.stderr, / 1 job was deleted\.\n$/)
      assert.strictEqual((yield* idsOf("emails")).length, 5)
    }))

  it.scopedLive("refuses one server under two names", () =>
    Effect.gen(function*() {
      const one = yield* startOne
      const url = `${one.address},${one.address.replace("127.0.0.1", "localhost")}`
      const { code, stderr } = yield* beanstalk(words("purge emails -y"), surroundings(url, {}))
      assert.strictEqual(code, 2)
      assert.match(stderr, / and localhost:\d+ are the same server\./)
      assert.deepStrictEqual(yield* one.left("emails"), [1, 1, 1])
    }))

  /** Many jobs of one tube at each of two servers, of which the second is behind a line that can be cut. */
  const startMidway = (act: string, surrounding: Surroundings = {}) =>
    Effect.gen(function*() {
      const [one, two] = [yield* startOne, yield* startOne]
      for (const { address } of [one, two]) {
        yield* beanstalk(words("put many --lines -q"), surroundings(address, { stdin: many(3000) }))
      }
      const slow = yield* ChaosProxy.make(one, { latency: "1 millis" })
      const line = yield* ChaosProxy.make(two, { latency: "2 millis" })
      const url = `${addressOf(slow.target)},${addressOf(line.target)}`
      const running = yield* startCommand(words(act), surroundings(url, surrounding))
      const ready = ({ connection }: typeof one) =>
        Effect.map(
          connection.statsTube("many"),
          ({ currentJobsReady }) => currentJobsReady
        ).pipe(Effect.catchTag("TubeNotFound", () => Effect.succeed(0)))
      const leftOver = Effect.zipWith(ready(one), ready(two), (a, b) => a + b)
      return { one, two, line, running, leftOver }
    })

  it.scopedLive.each(["purge many -y --json", "move many aside -y --json", "bury many -y --json"])(
    "if one server is lost midway, the summary tells what was done on both, and it ends with 4: %s",
    (act) =>
      Effect.gen(function*() {
        const { leftOver, line, running, two } = yield* startMidway(act)
        yield* eventually(leftOver, (left) => left < 5700)
        yield* line.close
        const { code, stderr, stdout } = yield* running.ended
        const record = JSON.parse(stdout)
        assert.deepStrictEqual([code, record.stopped], [4, "error"], stderr)
        yield* eventually(two.connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 0)
        const gone = 6000 - (yield* leftOver)
        assert.isAtLeast(gone, record.ready)
        assert.isAtMost(gone, record.ready + 256)
        assert.match(JSON.parse(stderr).error.message, /^stopped after [\d,]+ jobs were \w+: /)
        assert.strictEqual(record.urls.length, 2)
      })
  )

  it.scopedLive.each(["purge many -y --json", "move many aside -y --json"])(
    "when it is interrupted, tells exactly how many jobs it has done on both: %s",
    (act) =>
      Effect.gen(function*() {
        const { leftOver, one, running, two } = yield* startMidway(act)
        yield* eventually(leftOver, (left) => left < 5500)
        yield* running.interrupt
        const record = JSON.parse(running.stdout.text)
        for (const { connection } of [one, two]) {
          yield* eventually(connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 0)
        }
        assert.strictEqual(record.stopped, "interrupted")
        assert.strictEqual(record.ready, 6000 - (yield* leftOver))
        assert.match(running.stderr.text, /^Interrupted after [\d,]+ jobs were \w+\. None is lost/)
      })
  )

  it.scopedLive("if one server is lost midway, kick tells how many jobs it has kicked, and ends with 4", () =>
    Effect.gen(function*() {
      const { one, two } = yield* startTwo
      for (const { address } of [one, two]) {
        yield* beanstalk(words("put many --lines -q"), surroundings(address, { stdin: many(2000) }))
        yield* beanstalk(words("bury many -y"), surroundings(address, {}))
      }
      const slow = yield* ChaosProxy.make(one, { latency: "100 millis" })
      const line = yield* ChaosProxy.make(two)
      const url = `${addressOf(slow.target)},${addressOf(line.target)}`
      const running = yield* startCommand(words("kick many -y --json"), surroundings(url, {}))
      const ready = Effect.map(one.connection.statsTube("many"), ({ currentJobsReady }) => currentJobsReady)
      yield* eventually(ready, (count) => count === 1000)
      yield* line.close
      const { code, stderr, stdout } = yield* running.ended
      assert.strictEqual(code, 4, stderr)
      assert.deepInclude(JSON.parse(stdout), { buried: 2000, stopped: "error" })
      assert.include(JSON.parse(stderr).error.message, addressOf(line.target))
      assert.deepStrictEqual(yield* two.left("many"), [0, 0, 2000])
    }))

  it.scopedLive("put --lines goes on with the other server, or says where to go on if a job may have been stored", () =>
    Effect.gen(function*() {
      const { one, two } = yield* startTwo
      const line = yield* ChaosProxy.make(two)
      const url = `${one.address},${addressOf(line.target)}`
      const input = yield* Queue.unbounded<Uint8Array>()
      const running = yield* startCommand(
        words("put new --lines"),
        surroundings(url, { stdin: Stream.fromQueue(input) })
      )
      const acknowledged = Effect.sync(() => running.stdout.text.split("\n").length - 1)
      yield* Queue.offer(input, Buffer.from(many(200)))
      yield* eventually(acknowledged, (count) => count === 200)
      assert.isAbove((yield* two.connection.statsTube("new")).totalJobs, 0)
      yield* line.close
      // Nothing is on its way: the next are put on the other server, as soon as the loss is known.
      yield* eventually(one.connection.listTubes, () => true)
      yield* Queue.offer(input, Buffer.from(many(200)))
      yield* Effect.raceFirst(eventually(acknowledged, (count) => count === 400), running.ended)
      yield* running.interrupt
      const stored = (yield* one.left("new"))[0]! + (yield* two.left("new"))[0]!
      const count = yield* acknowledged
      assert.isAtLeast(stored, count)
      assert.include(running.stderr.text, `--skip ${count}.`)
    }))
})

describe("a command for one server", () => {
  it("loads no cluster", () => {
    const source = join(root, "src")
    const seen = new Set<string>()
    const visit = (file: string): void => {
      if (seen.has(file)) return
      seen.add(file)
      const text = readFileSync(join(source, file), "utf8")
      for (const [, path = ""] of text.matchAll(/^(?:import|export)(?! type)[^"]*? from "(\.[^"]+)"/gm)) {
        visit(normalize(join(file, "..", path)))
      }
    }
    visit("cli/main.ts")
    visit("cli/commands/stats.ts")
    assert.include([...seen], "cli/server/servers.ts")
    assert.deepStrictEqual([...seen].filter((file) => /cluster/i.test(file)), [])
  })
})
