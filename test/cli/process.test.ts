/** The program as a process: signals, exit codes, pipes, and the embedded server that it serves. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { bundle, root } from "../support/bundled.ts"
import { eventually, failsWith } from "../support/connections.ts"

interface Ending {
  readonly code: number | null
  readonly signal: string | null
}

/** Starts `beanstalk`, and kills it when the scope closes. */
const start = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const program = yield* bundle("src/cli/main.ts")
    const ended = yield* Deferred.make<Ending>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [program, ...args], { cwd: root })),
      (child) => Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
    )
    const said = { out: "", err: "" }
    child.stdout.on("data", (chunk) => said.out += chunk)
    child.stderr.on("data", (chunk) => said.err += chunk)
    child.on("close", (code, signal) => Deferred.unsafeDone(ended, Effect.succeed({ code, signal })))
    return { child, said, ended: Deferred.await(ended) }
  })

/** Starts a server, and waits until it listens. */
const serve = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const program = yield* start("serve", ...args)
    const out = yield* eventually(Effect.sync(() => program.said.out), (out) => out.includes("\n"))
    const url = / listens at (\S+)\. /.exec(out)?.[1]
    if (url === undefined) return yield* Effect.dieMessage(`it said ${out} ${program.said.err}`)
    return { ...program, url, connect: Effect.provide(BeanstalkConnection.make(), NodeConnector.layerUrl(url)) }
  })

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("beanstalk, as a process", () => {
  it.live("is what npm run serve runs", () =>
    Effect.sync(() => {
      const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
      assert.strictEqual(scripts.serve, "node --import tsx src/cli/main.ts serve")
    }))

  it.scopedLive("serve listens on -l and -p, with the maximum job size of -z; SIGUSR1 starts drain mode, SIGTERM ends it", () =>
    Effect.gen(function*() {
      const program = yield* serve("-l", "127.0.0.1", "-p", "0", "-z", "10")
      assert.match(program.url, /^beanstalk:\/\/127\.0\.0\.1:\d+$/)
      assert.include(program.said.out, `Process ${program.child.pid} `)
      const beanstalk = yield* program.connect
      assert.strictEqual((yield* beanstalk.stats).maxJobSize, 10)
      yield* beanstalk.put("0123456789")
      program.child.kill("SIGUSR1")
      yield* eventually(beanstalk.stats, (stats) => stats.draining === true)
      yield* failsWith(beanstalk.put("x"), "Draining")
      assert.strictEqual((yield* beanstalk.reserve).id, "1")
      const refused = yield* start("put", "t", "x", "-u", program.url)
      assert.strictEqual((yield* refused.ended).code, 5)
      program.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* program.ended, { code: 143, signal: null })
      yield* failsWith(beanstalk.stats, "ConnectionLost")
      assert.strictEqual(program.said.err, "")
    }))

  it.scopedLive("serve listens on a unix socket, and prints what happens to each job with -V", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "x.sock")
      const program = yield* serve("-l", `unix:${path}`, "-V")
      assert.strictEqual(program.url, `unix:${path}`)
      const beanstalk = yield* program.connect
      yield* beanstalk.put("x", { tube: "a", delay: "1 day" })
      yield* beanstalk.kickJob("1")
      const out = yield* eventually(Effect.sync(() => program.said.out), (out) => out.includes("kicked"))
      const [, ...lines] = out.trim().split("\n")
      const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`
      assert.match(lines[0] ?? "", new RegExp(String.raw`^${time} a: job 1 put, now delayed \(connection 1\)$`))
      assert.match(lines[1] ?? "", new RegExp(String.raw`^${time} a: job 1 kicked, now ready \(connection 1\)$`))
      program.child.kill("SIGINT")
      assert.strictEqual((yield* program.ended).code, 130)
    }))

  it.scopedLive("serve ends with 2 when it cannot listen", () =>
    Effect.gen(function*() {
      const [missing, impossible] = yield* Effect.all([
        start("serve", "-l", "unix:/no/such/folder/x.sock"),
        start("serve", "-p", "65536")
      ])
      assert.strictEqual((yield* missing.ended).code, 2)
      assert.include(missing.said.err, "beanstalk: cannot listen on unix:/no/such/folder/x.sock: ")
      assert.strictEqual((yield* impossible.ended).code, 2)
      assert.include(impossible.said.err, "is no port")
    }))

  it.scopedLive("a signal ends a command that waits for its input, and says how far it came", () =>
    Effect.gen(function*() {
      const server = yield* serve("-p", "0")
      const program = yield* start("put", "t", "--lines", "-u", server.url)
      program.child.stdin.write("a\nb\n")
      yield* eventually(Effect.sync(() => program.said.out), (out) => out === "1\n2\n")
      program.child.kill("SIGINT")
      assert.deepStrictEqual(yield* program.ended, { code: 130, signal: null })
      assert.strictEqual(program.said.err, "Interrupted after 2 jobs were put. Go on with --skip 2.\n")
    }))

  it.scopedLive("a second signal does not wait", () =>
    Effect.gen(function*() {
      const server = yield* serve("-p", "0")
      const beanstalk = yield* server.connect
      yield* beanstalk.put("x", { tube: "t" })
      // What the program has started is ended as well.
      const script = "sleep 3600 & echo $!; wait"
      const program = yield* start("work", "t", "-u", server.url, "--drain", "1h", "--", "sh", "-c", script)
      const sleeper = Number(yield* eventually(Effect.sync(() => program.said.out), (out) => out.includes("\n")))
      program.child.kill("SIGTERM")
      yield* eventually(Effect.sync(() => program.said.err), (err) => err.includes("A second signal kills them."))
      program.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* program.ended, { code: 143, signal: null })
      yield* eventually(beanstalk.stats, ({ currentJobsReady }) => currentJobsReady === 1)
      yield* eventually(Effect.sync(() => isRunning(sleeper)), (running) => !running)
    }))

  it.scopedLive("a hang-up of the terminal interrupts it", () =>
    Effect.gen(function*() {
      const server = yield* serve("-p", "0")
      const beanstalk = yield* server.connect
      const program = yield* start("take", "t", "--follow", "-u", server.url)
      yield* eventually(beanstalk.stats, ({ currentWaiting }) => currentWaiting === 1)
      program.child.kill("SIGHUP")
      assert.deepStrictEqual(yield* program.ended, { code: 129, signal: null })
      assert.include(program.said.err, "Interrupted after 0 jobs")
    }))

  it.scopedLive.skipIf(!existsSync("/dev/full"))(
    "a full disk is told, and is no success",
    () =>
      Effect.gen(function*() {
        const program = yield* bundle("src/cli/main.ts")
        const full = openSync("/dev/full", "w")
        const { status, stderr } = spawnSync(process.execPath, [program, "help"], { stdio: ["ignore", full, "pipe"] })
        closeSync(full)
        assert.strictEqual(status, 4)
        assert.include(stderr.toString(), "no space is left")
      })
  )

  it.scopedLive("a closed pipe ends it quietly", () =>
    Effect.gen(function*() {
      const server = yield* serve("-p", "0")
      const program = yield* start("put", "t", "--lines", "-u", server.url)
      program.child.stdout.destroy()
      program.child.stdin.on("error", () => undefined)
      const feed = (error?: Error | null) => {
        if (error === undefined || error === null) program.child.stdin.write("x\n".repeat(1000), feed)
      }
      feed()
      assert.deepStrictEqual(yield* program.ended, { code: 0, signal: null })
      assert.strictEqual(program.said.err, "")
    }))
})
