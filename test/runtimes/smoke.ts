/**
 * What a program needs of its runtime, from the sources, without a test runner: TCP, a unix socket, TLS, a worker, and the embedded server
 * on a port and in memory. It prints one line for each check, and their number.
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { deepStrictEqual } from "node:assert"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as Tls from "node:tls"
import { Tube, Worker, WorkerTest } from "../../src/index.ts"
import { NodeBeanstalk, NodeEmbeddedServer } from "../../src/node/index.ts"

const tlsFile = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))

const Mails = Tube.make("mails", { payload: Schema.Struct({ to: Schema.String }) })

const equal = (actual: unknown, expected: unknown) => Effect.sync(() => deepStrictEqual(actual, expected))

/** A job goes to the server and to a worker, which deletes it. */
const throughWorker = (options: NodeBeanstalk.ClientOptions) =>
  Effect.gen(function*() {
    const received = yield* Deferred.make<string>()
    const worker = yield* WorkerTest.make(Mails, ({ to }) => Deferred.succeed(received, to))
    const id = yield* Mails.put({ to: "kim@example.org" })
    yield* equal(yield* Deferred.await(received), "kim@example.org")
    const event = yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Completed"))
    yield* equal(event.id, id)
    const { drained, orphaned } = yield* worker.shutdown
    yield* equal([drained, orphaned], [0, []])
  }).pipe(Effect.scoped, Effect.provide(NodeBeanstalk.layerClient(options)))

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-beanstalk-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** The port of a TLS proxy in front of a server. */
const tlsProxy = (url: string) =>
  Effect.async<number>((resume) => {
    const server = Tls.createServer({ cert: tlsFile("cert.pem"), key: tlsFile("key.pem") }, (client) => {
      const upstream = Net.connect(Number(new URL(url).port), "127.0.0.1")
      client.pipe(upstream).pipe(client)
      client.on("error", () => upstream.destroy())
      client.on("close", () => upstream.destroy())
      upstream.on("error", () => client.destroy())
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      if (address !== null && typeof address === "object") resume(Effect.succeed(address.port))
    })
    server.unref()
  })

const checks: Readonly<Record<string, Effect.Effect<unknown, unknown, Scope.Scope>>> = {
  "a worker gets a job by TCP": Effect.gen(function*() {
    const { url } = yield* NodeEmbeddedServer.listen()
    yield* throughWorker({ url })
  }),
  "a worker gets a job by a unix socket": Effect.gen(function*() {
    const { url } = yield* NodeEmbeddedServer.listen({ path: join(yield* temporaryFolder, "server.sock") })
    yield* throughWorker({ url })
  }),
  "a worker gets a job by TLS": Effect.gen(function*() {
    const { url } = yield* NodeEmbeddedServer.listen()
    const port = yield* tlsProxy(url)
    yield* throughWorker({ url: `beanstalks://localhost:${port}`, tls: { ca: tlsFile("cert.pem") } })
  }),
  "a TLS certificate that is not trusted is refused": Effect.gen(function*() {
    const { url } = yield* NodeEmbeddedServer.listen()
    const port = yield* tlsProxy(url)
    const exit = yield* Effect.exit(
      Effect.scoped(
        Effect.provide(Effect.void, NodeBeanstalk.layerConnection({ url: `beanstalks://localhost:${port}` }))
      )
    )
    yield* equal(Exit.isFailure(exit), true)
  }),
  "a worker retries over hours of virtual time in a server in memory": Effect.gen(function*() {
    yield* Mails.put({ to: "kim@example.org" })
    const events = yield* WorkerTest.drain(Mails, () => Effect.fail("refused"), {
      retry: Schedule.intersect(Schedule.spaced("1 hour"), Schedule.recurs(2))
    })
    yield* equal(events.map(({ _tag }) => _tag), ["Retried", "Retried", "Buried"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual()))
}

const main = Effect.gen(function*() {
  const exits = yield* Effect.forEach(
    Object.entries(checks),
    ([title, check]) =>
      Effect.exit(Effect.timeout(Effect.scoped(check), "20 seconds")).pipe(
        Effect.tap((exit) =>
          Console.log(Exit.isSuccess(exit) ? `passed  ${title}` : `failed  ${title}\n${Cause.pretty(exit.cause)}`)
        )
      )
  )
  const passed = exits.filter(Exit.isSuccess).length
  const { bun, deno, node } = process.versions
  const runtime = bun === undefined ? deno === undefined ? `Node ${node}` : `Deno ${deno}` : `Bun ${bun}`
  yield* Console.log(`${passed} passed, ${exits.length - passed} failed on ${runtime}`)
  return passed === exits.length ? 0 : 1
})

process.exitCode = await Effect.runPromise(main)
