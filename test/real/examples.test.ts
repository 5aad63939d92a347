import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { bundle, root } from "../support/bundled.ts"
import { eventually, openTo } from "../support/connections.ts"
import type { Listening } from "../support/server.ts"
import { describeOnOne } from "../support/servers.ts"

const url = ({ target }: Listening) =>
  "path" in target ? `unix:${target.path}` : `beanstalk://${target.host}:${target.port}`

/** Starts `node` in the folder of the project, and kills it when the scope closes. */
const startNode = (env: NodeJS.ProcessEnv, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, args, { cwd: root, env: { ...process.env, ...env } })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Starts an example. */
const start = (example: string, env: NodeJS.ProcessEnv, args: ReadonlyArray<string> = []) =>
  Effect.flatMap(bundle(`scratchpad/${example}`), (program) => startNode(env, program, ...args))

/** Follows a process to its end. */
const follow = (child: ChildProcessWithoutNullStreams) =>
  Effect.gen(function*() {
    const ended = yield* Deferred.make<{ readonly code: number | null; readonly output: string }>()
    let output = ""
    child.stdout.on("data", (chunk) => output += String(chunk))
    child.stderr.on("data", (chunk) => output += String(chunk))
    child.once("close", (code) => Deferred.unsafeDone(ended, Effect.succeed({ code, output })))
    /** Waits until it has printed this. */
    const says = (wanted: string) =>
      Effect.async<void>((resume) => {
        const look = () => output.includes(wanted) && resume(Effect.void)
        child.stdout.on("data", look)
        look()
      })
    return { kill: (signal: NodeJS.Signals) => child.kill(signal), says, ended: Deferred.await(ended) }
  })

const begin = (example: string, env: NodeJS.ProcessEnv, args: ReadonlyArray<string> = []) =>
  Effect.flatMap(start(example, env, args), follow)

/** Runs an example, and succeeds with what it printed and how it ended. */
/** What a program has printed, without the log lines. */
const printed = (output: string): string =>
  output.split("\n").filter((line) => !/^(\[\d|timestamp=| {2}\w+: | +at )/.test(line)).join("\n")

const run = (example: string, env: NodeJS.ProcessEnv, args: ReadonlyArray<string> = []) =>
  Effect.scoped(Effect.flatMap(begin(example, env, args), ({ ended }) => ended))

/** A web server that accepts a request and does not respond. */
const silence = Effect.gen(function*() {
  const asked = yield* Deferred.make<void>()
  const server = yield* Effect.acquireRelease(
    Effect.async<Server>((resume) => {
      const server = createServer(() => Deferred.unsafeDone(asked, Effect.void))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const address = server.address()
  const port = address === null || typeof address === "string" ? 0 : address.port
  return { url: `http://127.0.0.1:${port}/`, asked: Deferred.await(asked) }
})

/** The address of an example that is a web server, once it has printed it. */
const addressOf = (child: ChildProcessWithoutNullStreams) =>
  Effect.async<{ readonly address: string }>((resume) => {
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
      const [address] = /http:\/\/[\d.:]+/.exec(output) ?? []
      if (address !== undefined) resume(Effect.succeed({ address }))
    })
    child.once("close", () => resume(Effect.dieMessage(`it ended: ${output}`)))
  })

/** Starts an example that is a web server, and succeeds with its address. */
const serve = (example: string, env: NodeJS.ProcessEnv) => Effect.flatMap(start(example, env), addressOf)

/** The tests mostly wait for their own processes. */
const sideBySide = { concurrent: true }

describeOnOne("the examples", sideBySide, (kind) => {
  it.scopedLive("one connection puts a job, and a scoped block fetches it", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const env = { BEANSTALKD_URL: url(server) }
      assert.deepStrictEqual(yield* run("one-connection.ts", env), { code: 0, output: "put job 1\n" })
      const fetching = yield* run("scoped-block.ts", env)
      assert.deepStrictEqual(fetching, { code: 0, output: "fetching http://example.org/\n" })
      assert.deepStrictEqual(yield* run("scoped-block.ts", env), { code: 0, output: "nothing to do\n" })
    }))

  it.scopedLive("errors are handled by their tags", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("handling-errors.ts", { BEANSTALKD_URL: url(server) })
      assert.strictEqual(code, 0, output)
      assert.include(output, "deleted: true")
      assert.include(output, "put: tube must be")
    }))

  it.scopedLive("the worker loop ends when no job is ready", () =>
    Effect.gen(function*() {
      const server = yield* kind.start({ unix: true })
      const ending = yield* run("worker-loop.ts", { BEANSTALKD_URL: url(server) })
      assert.deepStrictEqual(ending, { code: 0, output: "nothing to do\n" })
    }))

  it.scopedLive("a typed tube puts, peeks and purges", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("typed-tube.ts", { BEANSTALKD_URL: url(server) })
      assert.strictEqual(code, 0, output)
      assert.match(output, /^beanstalkd [\w.]+\nput job 1\nnext is http:\/\/example.org\/\npurged 1\n$/)
    }))

  it.scopedLive("a web request puts a job, and the response has its outcome", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { address } = yield* serve("web-request.ts", { BEANSTALKD_URL: url(server), PORT: "0" })
      const post = (page: unknown) =>
        Effect.promise(() =>
          fetch(`${address}/pages`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(page)
          })
        )
      const accepted = yield* post({ url: "http://example.org/" })
      assert.strictEqual(accepted.status, 202)
      assert.deepStrictEqual(yield* Effect.promise(() => accepted.json()), { job: "1" })
      assert.strictEqual((yield* post({ url: 1 })).status, 400)
      assert.strictEqual((yield* post({ url: "x".repeat(65_536) })).status, 413)

      const beanstalk = yield* openTo(server, { watch: ["URLs-to-fetch"] })
      const job = yield* beanstalk.reserveWithTimeout(0)
      assert.strictEqual(yield* job.text(), "{\"url\":\"http://example.org/\"}")

      yield* server.drain
      assert.strictEqual((yield* post({ url: "http://example.org/" })).status, 503)
      yield* server.kill
      assert.strictEqual((yield* post({ url: "http://example.org/" })).status, 503)
    }))

  it.scopedLive("probes are told that a worker is ready, and at once that it is being shut down", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const child = yield* start("health-probes.ts", { BEANSTALKD_URL: url(server), HOST: "127.0.0.1", PORT: "0" })
      const { ended, says } = yield* follow(child)
      const { address } = yield* addressOf(child)
      yield* says("takes jobs")
      const probe = (path: string) => Effect.promise(() => fetch(`${address}${path}`))
      yield* eventually(probe("/readyz"), ({ status }) => status === 200)
      assert.strictEqual((yield* probe("/livez")).status, 200)

      const beanstalk = yield* openTo(server)
      yield* beanstalk.put("a mail", { tube: "mails" })
      yield* says("sends a mail")
      child.kill("SIGTERM")
      yield* says("is shut down")
      const response = yield* probe("/readyz")
      assert.strictEqual(response.status, 503)
      assert.include(yield* Effect.promise(() => response.text()), "is being shut down")
      assert.strictEqual((yield* probe("/livez")).status, 200)
      const { code, output } = yield* ended
      assert.strictEqual(code, 0, output)
      assert.strictEqual((yield* beanstalk.stats).cmdDelete, 1)
    }))

  it.scopedLive("every line of a file becomes a job", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const folder = yield* temporaryFolder
      const file = join(folder, "lines.txt")
      writeFileSync(file, Array.from({ length: 5000 }, (_, line) => `line ${line + 1}\n`).join(""))
      const env = { BEANSTALKD_URL: url(server) }
      assert.deepStrictEqual(yield* run("bulk-import.ts", env, [file]), {
        code: 0,
        output: "put 5000 jobs into imported\n"
      })

      writeFileSync(file, `short\n${"x".repeat(70_000)}\nshort\n`)
      const { code, output } = yield* run("bulk-import.ts", env, [file])
      assert.strictEqual(code, 1, output)
      assert.match(output, /^line 2: put: a body of 70000 bytes/m)
      const [, next = ""] = /^put \d jobs into imported; go on with line (\d)$/m.exec(output) ?? []
      assert.include(["3", "4"], next)
      assert.deepStrictEqual(yield* run("bulk-import.ts", env, [file, "3"]), {
        code: 0,
        output: "put 1 jobs into imported\n"
      })
    }))

  it.scopedLive("a job that one server refuses is put into the other", () =>
    Effect.gen(function*() {
      const primary = yield* kind.start()
      const secondary = yield* kind.start()
      const puts = run("two-servers.ts", {}, [url(primary), url(secondary)])
      assert.match((yield* puts).output, /^put job 1 at .*\n$/)
      yield* primary.drain
      assert.match((yield* puts).output, /^Draining: turning to .*\nput job 1 at .*\n$/)
      yield* primary.kill
      const { code, output } = yield* puts
      assert.strictEqual(code, 0)
      assert.match(output, /ConnectFailed: turning to .*\nput job 2 at .*\n$/)
    }))

  it.scopedLive("jobs are put and run on while one of three servers is killed", () =>
    Effect.gen(function*() {
      const servers = [yield* kind.start(), yield* kind.start(), yield* kind.start()]
      const child = yield* begin("many-servers.ts", {}, servers.map(url))
      const first = yield* openTo(servers[0]!, { tube: "numbers" })
      yield* eventually(first.stats, ({ totalJobs }) => totalJobs > 3)
      yield* servers[0]!.kill
      const { code, output } = yield* child.ended
      assert.strictEqual(code, 0, output)
      assert.include(output, "is gone")
      // At most the one that was in flight is not acknowledged.
      assert.match(output, /^put (299|300) jobs$/m)
      assert.include(output, "all of them have run")
    }))

  it.scopedLive("the main job buries what it cannot fetch", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const { code, output } = yield* run("urls-to-fetch.ts", { BEANSTALKD_URL: url(server) }, ["no-url-at-all"])
      assert.strictEqual(code, 0, output)
      assert.include(output, "put      1 URLs")
      assert.match(output, /^buried {3}job 1 after run 1: InvalidUrl/m)
      const beanstalk = yield* openTo(server)
      assert.strictEqual((yield* beanstalk.statsTube("URLs-to-fetch")).currentJobsBuried, 1)
    }))

  it.scopedLive("the main job gives its job back when it is interrupted", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const silent = yield* silence
      const child = yield* begin("urls-to-fetch.ts", { BEANSTALKD_URL: url(server) }, [silent.url])
      yield* silent.asked
      child.kill("SIGINT")
      const { code, output } = yield* child.ended
      assert.strictEqual(code, 0, output)
      assert.match(output, /^closed {3}with 1 jobs given back$/m)
      const beanstalk = yield* openTo(server, { watch: ["URLs-to-fetch"] })
      assert.strictEqual((yield* beanstalk.reserveWithTimeout(0)).id, "1")
    }))

  it.scopedLive("the workers of several tubes run their jobs, and close together", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const beanstalk = yield* openTo(server)
      yield* beanstalk.put("{\"to\":\"somebody\"}", { tube: "mails" })
      yield* beanstalk.put("{\"path\":\"a.png\"}", { tube: "thumbnails" })
      yield* beanstalk.put("a line", { tube: "audit" })
      const child = yield* begin("several-tubes.ts", { BEANSTALKD_URL: url(server) })
      yield* Effect.forEach(["mail to", "thumbnail of", "audit:"], child.says)
      child.kill("SIGTERM")
      const { code, output } = yield* child.ended
      assert.strictEqual(code, 0, output)
      assert.deepStrictEqual(
        printed(output).trim().split("\n").toSorted(),
        ["audit: a line", "closed", "mail to somebody", "thumbnail of a.png"]
      )
      assert.strictEqual((yield* beanstalk.stats).cmdDelete, 3)
    }))

  it.scopedLive("dead letters are put back", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const beanstalk = yield* openTo(server, { watch: ["mails"] })
      const letter = { mail: { to: "somebody" }, failure: "MailboxFull", runs: 6 }
      yield* beanstalk.put(JSON.stringify(letter), { tube: "dead-letters" })
      assert.deepStrictEqual(yield* run("dead-letters.ts", { BEANSTALKD_URL: url(server) }, ["back"]), {
        code: 0,
        output: "put back what had failed 6 times with MailboxFull\nno more dead letters\n"
      })
      const job = yield* beanstalk.reserveWithTimeout(0)
      assert.strictEqual(yield* job.text(), "{\"to\":\"somebody\"}")
    }))
})

describe("without any server", sideBySide, () => {
  it.scopedLive("npm start runs the main job, which fetches every page but the one that fails, and ends by itself", () =>
    Effect.gen(function*() {
      const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
      assert.strictEqual(scripts.start, "tsx scratchpad/urls-to-fetch.ts")
      const child = yield* startNode({ BEANSTALKD_URL: undefined }, "--import", "tsx", "scratchpad/urls-to-fetch.ts")
      const { code, output } = yield* Effect.flatMap(follow(child), ({ ended }) => ended)
      assert.strictEqual(code, 0, output)
      const [, jobs] = /^put +(\d+) URLs/m.exec(output) ?? []
      const lines = (start: RegExp) => output.match(start)?.length
      assert.strictEqual(lines(/^fetched/gm), Number(jobs) - 1, output)
      assert.strictEqual(lines(/^retried .*\/busy/gm), 1, output)
      assert.strictEqual(lines(/^fetched .*\/busy/gm), 1, output)
      assert.strictEqual(lines(/^retried .*\/out-of-order/gm), 2, output)
      assert.match(output, /^buried .* after run 3: .*\/out-of-order/m)
      assert.match(output, new RegExp(`^done +${Number(jobs) - 1} pages were fetched, 1 could not be$`, "m"))
    }))

  it.live("a job that takes an hour keeps its lease, with a ttr of five seconds", () =>
    Effect.gen(function*() {
      const { code, output } = yield* run("long-job.ts", {})
      assert.strictEqual(code, 0, output)
      assert.match(
        printed(output),
        /^Metropolis is transcoded, in run 1\nafter 1h: reserved once: true, touched \d{4} times\n$/
      )
    }))

  it.live("a job that failed too often becomes a dead letter, and succeeds when it is put back", () =>
    Effect.gen(function*() {
      const { code, output } = yield* run("dead-letters.ts", {})
      assert.deepStrictEqual({ code, output: printed(output) }, {
        code: 0,
        output:
          "put back what had failed 6 times with MailboxFull\nno more dead letters\nsent to somebody@example.org\n"
      })
    }))

  it.live("what is not ready yet is asked for again without spending an attempt", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run("not-yet.ts", {}), {
        code: 0,
        output: "downloaded invoices\n167 completed, 0 retried, 1 buried\n"
      })
    }))

  it.live("a report is put every morning from Monday to Friday", () =>
    Effect.gen(function*() {
      const { code, output } = yield* run("every-morning.ts", {})
      assert.strictEqual(code, 0, output)
      assert.deepStrictEqual(
        printed(output).trim().split("\n"),
        ["Mon, 05", "Tue, 06", "Wed, 07", "Thu, 08", "Fri, 09"].map((day) => `report of ${day} Jan 2026 06:00:00 GMT`)
      )
    }))

  it.live("seven hours and an outage pass in virtual time", () =>
    Effect.gen(function*() {
      const { code, output } = yield* run("hours-in-a-moment.ts", {})
      assert.strictEqual(code, 0, output)
      const events = ["put", "reserved", "released", "due", "reserved", "released", "due", "reserved", "released"]
      assert.deepStrictEqual(
        output.trim().split("\n").map((line) => /job 1 (.*)$/.exec(line)?.[1]),
        [...events, "due", "reserved", "deleted"]
      )
      assert.match(output, /^7h \d+m.*deleted$/m)
    }))
})
