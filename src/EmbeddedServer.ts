/**
 * A beanstalkd in memory, for tests, demos and development. It needs no installation and no port, and its time is Effect's
 * `Clock`.
 *
 * {@link layer} provides the `Connector` for connections and clients, and {@link EmbeddedServer}: a journal of the events of
 * every job, and faults to inject. `NodeEmbeddedServer` in `effect-beanstalk/node` is the same server on a port.
 *
 * Its replies equal those of beanstalkd 1.13, or of 1.12, byte for byte: the tests send the same commands to both. Under
 * `TestClock`, or the faster `VirtualClock`, a delay of hours takes no time.
 *
 * Jobs are not persisted: they are lost when the scope closes.
 *
 * **Gotchas**
 *
 * Under the fake timers of Vitest or Jest (`vi.useFakeTimers()`) it does not answer: they replace the timers by which it, and
 * the fibers of Effect, take turns. Use `TestClock` or `VirtualClock`. `vi.useFakeTimers({ toFake: ["Date"] })`, which replaces
 * the date only, does no harm.
 *
 * These are known defects of the real server, which this one does not have:
 *
 * - The time to run of a job ends at its deadline. The real server compares with `now > deadline`: if it checks in the very
 *   microsecond of the deadline, the job stays reserved until its holder sends a command or disconnects.
 * - A `reserve-with-timeout` that was answered with `DEADLINE_SOON` leaves no timeout behind. In the real server it does, and
 *   the next time to run is not noticed.
 * - A connection that waits in a reserve while its own job times out receives `DEADLINE_SOON`, and nothing else. In the
 *   real server it may get that very job without a reply, and the reply for another connection may be lost.
 * - When the timers of several connections are due at the same time, all of them fire. The real server may lose one: to remove
 *   the last element of a heap it removes the parent of that element, if the two tie.
 * - `peek` of a job that is still being uploaded is answered with `NOT_FOUND`. The real server returns uninitialized memory.
 * - A line whose CR is the last byte of a full buffer (225 bytes with CRLF, 449, …) is answered with `BAD_FORMAT`, and the next
 *   command is executed. The real server swallows that command.
 * - A client that half-closes its connection and does not read a large reply makes the real server use a whole CPU.
 * - There is no binlog. In the real server a job that is buried while the disk is full stays reserved without a holder.
 *
 * Other differences:
 *
 * - Its time is the Clock's, which is monotonic; the real server follows the wall clock. Time stands still while it executes
 *   commands that were received at once, so a `time-left` may be one second more than that of the real server.
 * - When several connections have sent commands, it executes all commands of one connection before those of the next. The real
 *   server executes one command of each in turn.
 * - In `stats`, `rusage` is 0, `hostname`, `os` and `platform` identify the embedded server, and `pid` is 0 unless it listens on
 *   a port or a socket.
 *
 * **Example** (test a worker without a server, and without waiting)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect, Fiber, TestClock } from "effect"
 * import { BeanstalkConnection, EmbeddedServer } from "effect-beanstalk"
 *
 * it.effect("a job that was released with a delay comes back", () =>
 *   Effect.gen(function*() {
 *     const beanstalk = yield* BeanstalkConnection.make()
 *     const id = yield* beanstalk.put("hello")
 *     yield* beanstalk.reserve
 *     yield* beanstalk.release(id, { priority: 0, delay: "1 hour" })
 *     const again = yield* Effect.fork(beanstalk.reserve)
 *     yield* TestClock.adjust("1 hour")
 *     assert.strictEqual((yield* Fiber.join(again)).id, id)
 *     const server = yield* EmbeddedServer.EmbeddedServer
 *     const events = (yield* server.journal).map(({ event }) => event)
 *     assert.deepStrictEqual(events, ["put", "reserved", "released", "due", "reserved"])
 *   }).pipe(Effect.scoped, Effect.provide(EmbeddedServer.layer())))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { BeanstalkClient } from "./BeanstalkClient.ts"
import * as BeanstalkCluster from "./BeanstalkCluster.ts"
import type { InvalidArgument } from "./BeanstalkError.ts"
import { Connector } from "./Connector.ts"
import * as MemorySocket from "./internal/embedded/memorySocket.ts"
import * as internal from "./internal/embedded/server.ts"
import type { Options, Server } from "./internal/embedded/server.ts"

export type { JobEvent } from "./internal/broker/jobStore.ts"
export { Fault } from "./internal/embedded/fault.ts"
export type { JournalEntry } from "./internal/embedded/journal.ts"
export type { OpenConnection, Options, Server, StoredJob } from "./internal/embedded/server.ts"

/**
 * The service by which a program inspects and controls a running {@link Server}.
 *
 * **Example** (cut all connections)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { EmbeddedServer } from "effect-beanstalk"
 *
 * const cut = Effect.flatMap(EmbeddedServer.EmbeddedServer, (server) => server.inject(EmbeddedServer.Fault.Cut()))
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export class EmbeddedServer extends Context.Tag("effect-beanstalk/EmbeddedServer")<EmbeddedServer, Server>() {}

/**
 * Starts a server, and makes a connector to it. All connections are reset when the scope closes. Use it where one program needs
 * several servers; {@link layer} is for one.
 *
 * **Example** (two servers in one test)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BeanstalkClient, Connector, EmbeddedServer } from "effect-beanstalk"
 *
 * const test = Effect.gen(function*() {
 *   const primary = yield* EmbeddedServer.make()
 *   const secondary = yield* EmbeddedServer.make({ maxJobSize: 1024 })
 *   const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, primary.connector)
 *   yield* primary.server.drain
 *   yield* Effect.flip(client.put("mails", "hello"))
 *   return yield* secondary.server.jobs
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options?: Options
): Effect.Effect<
  { readonly server: Server; readonly connector: Context.Tag.Service<Connector> },
  never,
  Scope.Scope
> =>
  Effect.map(internal.start(options), ({ server, serverHost }) => ({
    server,
    connector: { address: "memory", socket: MemorySocket.make(serverHost) }
  }))

/**
 * Starts a server, and provides it together with the `Connector` to it.
 *
 * **Example** (a client of a server in memory)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { BeanstalkClient, EmbeddedServer } from "effect-beanstalk"
 *
 * const TestLive = Layer.provideMerge(BeanstalkClient.layer(), EmbeddedServer.layer({ version: "1.12" }))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<EmbeddedServer | Connector> =>
  Layer.scopedContext(
    Effect.map(make(options), ({ connector, server }) =>
      Context.make(EmbeddedServer, server).pipe(Context.add(Connector, connector)))
  )

/**
 * Options of {@link layerCluster}: how many servers there are, the options of each, and those of the cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClusterOptions extends Options {
  /** How many servers. They have the numbers 1, 2, … */
  readonly servers: number
  readonly cluster?: BeanstalkCluster.Options | undefined
}

/**
 * The servers of {@link layerCluster}, in the order of their numbers, which begin with 1.
 *
 * **Example** (the second server resets all connections)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { EmbeddedServer } from "effect-beanstalk"
 *
 * const cut = Effect.flatMap(EmbeddedServer.EmbeddedServers, ([, second]) =>
 *   second === undefined ? Effect.void : second.inject(EmbeddedServer.Fault.Cut()))
 * ```
 *
 * @category tags
 * @since 0.1.0
 */
export class EmbeddedServers extends Context.Tag("effect-beanstalk/EmbeddedServers")<
  EmbeddedServers,
  ReadonlyArray<Server>
>() {}

/**
 * Starts several servers, and provides them together with a cluster of them, which is also the client.
 *
 * **Example** (a put goes on while one of three servers is drained)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { BeanstalkClient, EmbeddedServer } from "effect-beanstalk"
 *
 * it.effect("a drained server gets no jobs", () =>
 *   Effect.gen(function*() {
 *     const [drained] = yield* EmbeddedServer.EmbeddedServers
 *     const client = yield* BeanstalkClient.BeanstalkClient
 *     if (drained !== undefined) yield* drained.drain
 *     yield* Effect.replicateEffect(client.put("mails", "hello"), 100)
 *     assert.strictEqual((yield* client.statsTube("mails")).currentJobsReady, 100)
 *   }).pipe(Effect.provide(EmbeddedServer.layerCluster({ servers: 3 }))))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCluster = (
  { cluster, servers, ...options }: ClusterOptions
): Layer.Layer<EmbeddedServers | BeanstalkCluster.BeanstalkCluster | BeanstalkClient, InvalidArgument> =>
  Layer.unwrapScoped(
    Effect.map(Effect.replicateEffect(make(options), servers), (made) =>
      Layer.merge(
        Layer.succeed(EmbeddedServers, made.map(({ server }) => server)),
        BeanstalkCluster.layer(
          made.map(({ connector }, index) => ({
            id: index + 1,
            connector: Layer.succeed(Connector, { ...connector, address: `memory-${index + 1}` })
          })),
          cluster
        )
      ))
  )
