/**
 * A beanstalkd in memory, for tests, demos and development: nothing to install, no port, and time is Effect's `Clock`.
 *
 * {@link layer} provides the `Connector` that connections and clients need, and beside it {@link EmbeddedServer}: a journal of
 * everything that happened to every job, and the faults that can be made to happen. `NodeEmbeddedServer` in
 * `effect-beanstalk/node` serves the same on a port.
 *
 * It answers as beanstalkd 1.13 does, byte for byte, or as 1.12: the same script is sent to both by its tests. Under
 * `TestClock`, or the faster clock of `VirtualClock`, hours pass in a moment.
 *
 * It persists nothing: the jobs are gone with the scope.
 *
 * **Example** (a worker that is tested without a server, and without waiting)
 *
 * ```ts
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
 * **Gotchas**
 *
 * Where the real server is known to be wrong, this one is not:
 *
 * - A time to run ends at its deadline. The real one judges by `now > deadline`, and when it looks in the very microsecond of
 *   the deadline it forgets the job, which then stays reserved until its holder says something or closes.
 * - A `reserve-with-timeout` that was answered with `DEADLINE_SOON` leaves no timeout behind. In the real one it does, and
 *   the next time to run is lost by it.
 * - A connection that waits in a reserve while its own job runs out is told `DEADLINE_SOON`, and gets nothing else. In the
 *   real one it may be given that very job without being told, and the reply of another may be lost.
 * - Of several connections whose appointments fall together, all are kept. The real one may lose one of them: it removes the
 *   last element of a heap wrongly when that ties with its parent.
 * - `peek` of a job that is still being uploaded is `NOT_FOUND`. The real one shows memory of other jobs.
 * - A line whose CR is the last byte of a full buffer (225 bytes with CRLF, 449, …) is answered with `BAD_FORMAT` and no more.
 *   The real one also swallows the command behind it.
 *
 * And it is another program:
 *
 * - Its time is the Clock's, which nobody sets; the real one follows the wall clock. Time stands still while it does what came
 *   in one piece, so a `time-left` may be told in full there, where the real one has already begun the second.
 * - When several connections have commands to be done at the same time, they are done connection by connection. The real one
 *   takes one command of each in turn.
 * - It has no binlog, and so no job in limbo behind a full disk; and no socket makes it spin.
 * - `rusage` is 0, and `hostname`, `os` and `platform` say what it is. So does `pid`, which is 0 unless it listens.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Connector } from "./Connector.ts"
import * as MemorySocket from "./internal/embedded/memorySocket.ts"
import * as internal from "./internal/embedded/server.ts"
import type { Options, Server } from "./internal/embedded/server.ts"

export type { JobEvent } from "./internal/broker/jobStore.ts"
export { Fault } from "./internal/embedded/fault.ts"
export type { JournalEntry } from "./internal/embedded/journal.ts"
export type { OpenConnection, Options, Server, StoredJob } from "./internal/embedded/server.ts"

/**
 * The service of a running {@link Server}.
 *
 * @category tags
 * @since 0.1.0
 */
export class EmbeddedServer extends Context.Tag("effect-beanstalk/EmbeddedServer")<EmbeddedServer, Server>() {}

/**
 * A running server and the way to it, until the scope closes. Use it where one program needs several; {@link layer} is for
 * one.
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
  Effect.map(internal.start(options), ({ host, server }) => ({
    server,
    connector: { address: "memory", socket: MemorySocket.make(host) }
  }))

/**
 * A server, and the `Connector` to it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<EmbeddedServer | Connector> =>
  Layer.scopedContext(
    Effect.map(make(options), ({ connector, server }) =>
      Context.make(EmbeddedServer, server).pipe(Context.add(Connector, connector)))
  )
