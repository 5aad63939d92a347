/** The commands that take jobs, run programs for them, and wait for them. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { at, startAt } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

describeListening("beanstalk", ({ start }) => {
  const started = Effect.gen(function*() {
    const server = yield* start()
    const connection = yield* openTo(server, { tube: "t" })
    return { server, connection, run: (line: string) => at(server, line) }
  })

  it.scopedLive("take writes the bodies of jobs, and deletes them", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      for (const body of ["a", "b", "c", "d\u001b[31m"]) yield* connection.put(body)
      assert.strictEqual((yield* run("take t")).stdout, "a\n")
      assert.strictEqual((yield* run("take t --count 2 -0")).stdout, "b\0c\0")
      assert.strictEqual((yield* run("take 't*' --all")).stdout, "d\u001b[31m\n")
      assert.strictEqual((yield* run("take t")).code, 1)
      assert.strictEqual((yield* connection.stats).cmdDelete, 4)
    }))

  it.scopedLive("take --bury keeps the priority, and --json has the record", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("a", { priority: 7 })
      const { stdout } = yield* run("take t --bury --json")
      const { body, id, pri, state } = JSON.parse(stdout)
      assert.deepStrictEqual([id, state, pri, body], ["1", "reserved", 7, "a"])
      const after = yield* connection.statsJob("1")
      assert.deepStrictEqual([after.state, after.pri], ["buried", 7])
    }))

  it.scopedLive("take gives back what it could not write", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      yield* connection.put("a")
      const { code, stderr } = yield* at(server, "take t", { closesAfter: 0 })
      assert.deepStrictEqual([code, stderr], [0, ""])
      yield* eventually(connection.stats, ({ currentJobsReady }) => currentJobsReady === 1)
    }))

  it.scopedLive("take --follow waits for jobs until it is interrupted", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const running = yield* startAt(server, "take t --follow")
      yield* connection.put("a")
      yield* connection.put("b")
      yield* eventually(connection.stats, ({ cmdDelete }) => cmdDelete === 2)
      yield* running.interrupt
      assert.strictEqual(running.stdout.text, "a\nb\n")
      assert.strictEqual(running.stderr.text, "Interrupted after 2 jobs were taken.\n")
    }))

  it.scopedLive("work runs a program for each job, whose exit code decides what becomes of it", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const file = join(yield* temporaryFolder, "out")
      for (const body of ["good", "bury", "fail"]) yield* connection.put(body)
      const script = `read -r word; echo "$BEANSTALK_JOB_ID $BEANSTALK_TUBE $BEANSTALK_ATTEMPT $word" >> ${file}; ` +
        "case $word in bury*) exit 65;; fail*) exit 3;; esac"
      const running = yield* startAt(server, `work t --retries 1 -c 2 -- sh -c '${script}'`)
      yield* eventually(connection.stats, (stats) => stats.cmdDelete === 1 && stats.currentJobsBuried === 2)
      yield* eventually(Effect.sync(() => running.stderr.text), (text) => text.includes("job 3 of t is buried"))
      yield* running.interrupt
      const lines = readFileSync(file, "utf8").trim().split("\n").toSorted()
      assert.deepStrictEqual(lines, ["1 t 1 good", "2 t 1 bury", "3 t 1 fail", "3 t 2 fail"])
      assert.include(running.stderr.text, "job 2 of t is buried after 1 attempt: the program ended with 65.\n")
      assert.include(running.stderr.text, "job 3 of t is buried after 2 attempts: the program ended with 3.\n")
      assert.include(running.stderr.text, "1 job done, 3 failures, 2 buried, 0 lost.\n")
    }))

  it.scopedLive("work runs as many programs at a time as -c says, of all tubes together", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const at = yield* temporaryFolder
      for (const tube of ["t", "u", "v"]) for (const body of ["a", "b", "c"]) yield* connection.put(body, { tube })
      const script = `mkdir ${at}/lock || echo $BEANSTALK_JOB_ID >> ${at}/overlap; sleep 0.05; rmdir ${at}/lock`
      yield* startAt(server, `work t u v --retries 0 -- sh -c '${script}'`)
      yield* eventually(connection.stats, ({ cmdDelete, currentJobsBuried }) => cmdDelete + currentJobsBuried === 9)
      assert.isFalse(existsSync(join(at, "overlap")))
      assert.strictEqual((yield* connection.stats).cmdDelete, 9)
    }))

  it.scopedLive("work tells what became of a job whose program ends after the interruption", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const file = join(yield* temporaryFolder, "go")
      yield* connection.put("x")
      const running = yield* startAt(server, `work t -- sh -c 'until test -e ${file}; do sleep 0.01; done'`)
      yield* eventually(connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 1)
      const interrupting = yield* Effect.fork(running.interrupt)
      yield* eventually(Effect.sync(() => running.stderr.text), (text) => text.includes("Takes no more jobs"))
      writeFileSync(file, "")
      yield* Fiber.join(interrupting)
      assert.include(running.stderr.text, "1 job done, 0 failures, 0 buried, 0 lost.\n")
    }))

  it.scopedLive("work lets a program end when it is interrupted, and ends it with SIGTERM when it takes too long", () =>
    Effect.gen(function*() {
      const { connection, server } = yield* started
      const file = join(yield* temporaryFolder, "out")
      yield* connection.put("x")
      const script =
        `trap "echo ended >> ${file}; exit 1" TERM; echo started >> ${file}; while true; do sleep 0.01; done`
      const running = yield* startAt(server, `work t --drain 0 -- sh -c '${script}'`)
      yield* eventually(connection.stats, ({ currentJobsReserved }) => currentJobsReserved === 1)
      yield* eventually(
        Effect.try(() => readFileSync(file, "utf8")).pipe(Effect.orElseSucceed(() => "")),
        (text) => text.includes("started")
      )
      yield* running.interrupt
      assert.strictEqual(readFileSync(file, "utf8"), "started\nended\n")
      const { currentJobsReady, currentJobsReserved } = yield* connection.stats
      assert.deepStrictEqual([currentJobsReady, currentJobsReserved], [1, 0])
    }))

  it.scopedLive("work takes no job if there is no such program", () =>
    Effect.gen(function*() {
      const { connection, run } = yield* started
      yield* connection.put("x")
      for (const program of ["/no/such/program", "no-such-program"]) {
        const { code, stderr } = yield* run(`work t -- ${program}`)
        assert.deepStrictEqual([code, stderr], [2, `beanstalk: there is no program "${program}".\n`])
      }
      assert.strictEqual((yield* connection.statsJob("1")).reserves, 0)
    }))

  it.scopedLive("wait ends when a tube is empty, or a job is done", () =>
    Effect.gen(function*() {
      const { connection, run, server } = yield* started
      yield* connection.put("x", { delay: "1 hour" })
      const late = yield* run("wait t --for 10ms")
      assert.strictEqual(late.code, 1)
      assert.include(late.stderr, "t still has 0 ready, 0 reserved and 1 delayed jobs.")
      const running = yield* startAt(server, "wait --job 1")
      yield* eventually(connection.stats, ({ cmdStatsJob }) => cmdStatsJob > 0)
      yield* connection.delete("1")
      assert.strictEqual((yield* running.ended).code, 0)
      assert.strictEqual((yield* run("wait t")).code, 0)
      assert.strictEqual((yield* run("wait")).code, 2)
    }))
})
