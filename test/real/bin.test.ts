/** The embedded server as a program: `npm run serve`. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { bundle, root } from "../support/bundled.ts"
import { eventually, failsWith } from "../support/connections.ts"

interface Ending {
  readonly code: number | null
  readonly signal: string | null
}

/** Starts `node`, and kills it when the scope closes. */
const startNode = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const ended = yield* Deferred.make<Ending>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, args, { cwd: root })),
      (child) => Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
    )
    const said = { out: "", err: "" }
    child.stdout.on("data", (chunk) => said.out += chunk)
    child.stderr.on("data", (chunk) => said.err += chunk)
    child.on("close", (code, signal) => Deferred.unsafeDone(ended, Effect.succeed({ code, signal })))
    return { child, said, ended: Deferred.await(ended) }
  })

const start = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(bundle("src/node/bin.ts"), (program) => startNode(program, ...args))

/** Starts a server, and waits until it listens. */
const serve = (...args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const program = yield* start(...args)
    const out = yield* eventually(Effect.sync(() => program.said.out), (out) => out.includes("\n"))
    const url = / listens at (\S+)\. /.exec(out)?.[1]
    if (url === undefined) return yield* Effect.dieMessage(`it said ${out} ${program.said.err}`)
    const connect = Effect.provide(BeanstalkConnection.make(), NodeConnector.layerUrl(url))
    return { ...program, url, connect }
  })

describe("npm run serve", () => {
  it.scopedLive("runs src/node/bin.ts", () =>
    Effect.gen(function*() {
      const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
      assert.strictEqual(scripts.serve, "node --import tsx src/node/bin.ts")
      const program = yield* startNode("--import", "tsx", "src/node/bin.ts", "-v")
      assert.strictEqual((yield* program.ended).code, 0)
      assert.strictEqual(program.said.out, "beanstalkd 1.13, embedded in effect-beanstalk\n")
    }))

  it.scopedLive("listens on the address of -l and -p, with the maximum job size of -z; SIGUSR1 starts drain mode, SIGTERM ends it", () =>
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
      program.child.kill("SIGUSR1")
      assert.strictEqual((yield* beanstalk.reserve).id, "1")
      program.child.kill("SIGTERM")
      const { code, signal } = yield* program.ended
      assert.deepStrictEqual([code, signal], [0, null])
      yield* failsWith(beanstalk.stats, "ConnectionLost")
      assert.strictEqual(program.said.err, "")
    }))

  it.scopedLive("listens on a unix socket, and prints the events of every job with -V", () =>
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
      program.child.kill("SIGTERM")
      assert.strictEqual((yield* program.ended).code, 0)
    }))

  it.scopedLive("exits with 111 and prints the reason when it cannot listen", () =>
    Effect.gen(function*() {
      const [missing, impossible] = yield* Effect.all([
        start("-l", "unix:/no/such/folder/x.sock"),
        start("-p", "65536")
      ])
      assert.strictEqual((yield* missing.ended).code, 111)
      assert.include(missing.said.err, "cannot listen: Error: listen")
      assert.strictEqual((yield* impossible.ended).code, 111)
      assert.include(impossible.said.err, "cannot listen: RangeError")
    }))

  it.scopedLive("exits with 5 when its arguments are invalid", () =>
    Effect.gen(function*() {
      const programs = yield* Effect.all([start("--nonsense"), start("-p", "x"), start("-z", "-1"), start("extra")])
      for (const program of programs) {
        assert.strictEqual((yield* program.ended).code, 5)
        assert.include(program.said.err, "Use: embedded-beanstalkd")
        assert.strictEqual(program.said.out, "")
      }
      assert.include(programs[1].said.err, "-p must be a whole number")
    }))

  it.scopedLive("prints its version and its usage, and limits the job size to 1 GiB", () =>
    Effect.gen(function*() {
      const [version, help, large] = yield* Effect.all([
        start("-v"),
        start("-h"),
        serve("-p", "0", "-z", "9999999999")
      ])
      assert.strictEqual((yield* version.ended).code, 0)
      assert.strictEqual(version.said.out, "beanstalkd 1.13, embedded in effect-beanstalk\n")
      assert.strictEqual((yield* help.ended).code, 0)
      assert.include(help.said.out, "Use: embedded-beanstalkd")
      assert.strictEqual((yield* Effect.flatMap(large.connect, ({ stats }) => stats)).maxJobSize, 1024 ** 3)
    }))
})
