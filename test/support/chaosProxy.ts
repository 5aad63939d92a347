/**
 * A proxy on a port of its own that behaves as a bad network. What it does to the bytes of each direction can be changed at any
 * time; it can cut connections, and close its port.
 *
 * ```ts
 * const proxy = yield* ChaosProxy.make(server, { latency: "1 millis", chunk: 1 })
 * const beanstalk = yield* openTo(proxy)
 * yield* proxy.set({ silence: true }, "toClient")
 * ```
 */
import type { Connector } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ScopedRef from "effect/ScopedRef"
import * as Net from "node:net"
import { type Conditions, type Ending, endSocket } from "./chaosLine.ts"
import { type Connection, Link, type Way } from "./chaosLink.ts"
import { connectorTo, listen } from "./connections.ts"
import { Random } from "./random.ts"
import type { Listening } from "./server.ts"

export type { Conditions, Ending, Traffic } from "./chaosLine.ts"
export type { Connection, Way } from "./chaosLink.ts"

export interface ChaosProxy {
  readonly target: { readonly host: string; readonly port: number }
  /** The way to it for the client. */
  readonly connector: Layer.Layer<Connector.Connector>
  /** A socket to it. */
  readonly connect: () => Net.Socket
  /** Changes these conditions, of one direction or both, for connections that are open and for new ones. */
  readonly set: (conditions: Conditions, way?: Way) => Effect.Effect<void>
  /** Resets the conditions of both directions. */
  readonly heal: Effect.Effect<void>
  /** Ends the connections that are open at once. Bytes that the proxy has not passed on are lost. */
  readonly cut: (ending: Ending) => Effect.Effect<void>
  /** Ends one direction of the connections that are open at once, with a FIN. The other direction stays open. */
  readonly halfClose: (way: Way) => Effect.Effect<void>
  /** Ends every new connection at once. Those that are open stay open. */
  readonly refuse: (ending: Ending) => Effect.Effect<void>
  /** Closes the port and every connection. */
  readonly close: Effect.Effect<void>
  /** Listens on the same port again, and refuses no connection. */
  readonly reopen: Effect.Effect<void>
  /** All connections so far in order, refused ones too. */
  readonly connections: Effect.Effect<ReadonlyArray<Connection>>
}

/** The initial conditions of both directions. */
export interface Options extends Conditions {
  /** Keep the bytes of each direction. Default: no. */
  readonly record?: boolean | undefined
  /** The seed of the jitter. Default: 1. */
  readonly seed?: number | undefined
}

const ways: ReadonlyArray<Way> = ["toServer", "toClient"]

/** A side that has sent its FIN can still receive. */
const createHalfOpenServer = (onConnection: (client: Net.Socket) => void) =>
  Net.createServer({ allowHalfOpen: true, noDelay: true }, onConnection)

const refused = (madeAt: number): Connection => {
  const nothing = { passed: 0, seen: Buffer.alloc(0) }
  return { madeAt, isOpen: false, toServer: nothing, toClient: nothing }
}

/** A proxy in front of the server until the scope closes. */
export const make = (
  server: Pick<Listening, "connect">,
  { record = false, seed = 1, ...initial }: Options = {}
): Effect.Effect<ChaosProxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const conditions: Record<Way, Conditions> = { toServer: initial, toClient: initial }
    const random = new Random(seed)
    const links = new Set<Link>()
    const journal: Array<Pick<Link, "connection">> = []
    let refusal: Ending | undefined

    const optionsOf = (way: Way) => ({
      conditions: () => conditions[way],
      // Each line has random numbers of its own, so that its delays do not depend on other lines.
      random: new Random(random.between(0, 2 ** 32 - 1)),
      record
    })

    const admit = (client: Net.Socket) => {
      const link = new Link(client, server.connect(), optionsOf)
      links.add(link)
      const at = journal.push(link) - 1
      // Of a connection that has ended only its figures are kept.
      const forget = () => {
        links.delete(link)
        journal[at] = { connection: link.connection }
      }
      return Effect.ensuring(link.run, Effect.sync(forget))
    }

    const turnAway = (client: Net.Socket, ending: Ending) => {
      journal.push({ connection: refused(performance.now()) })
      endSocket(client.resume(), ending)
    }

    const open = (port: number) =>
      Effect.gen(function*() {
        const run = yield* FiberSet.makeRuntime()
        const onConnection = (client: Net.Socket) => {
          // The port is opened uninterruptibly, which the fibers of its connections would inherit.
          if (refusal === undefined) run(Effect.interruptible(admit(client)))
          else turnAway(client, refusal)
        }
        return yield* listen(onConnection, { port, make: createHalfOpenServer })
      })

    const listening = yield* ScopedRef.fromAcquire(Effect.asSome(open(0)))
    const target = yield* Effect.orDie(Effect.flatten(ScopedRef.get(listening)))

    const change = (conditionsOf: (way: Way) => Conditions) =>
      Effect.sync(() => {
        for (const way of ways) conditions[way] = conditionsOf(way)
        for (const link of links) link.cutIfDue()
      })

    return {
      target,
      connector: connectorTo(target),
      connect: () => Net.connect(target),
      set: (changed, only) =>
        change((way) => only === undefined || only === way ? { ...conditions[way], ...changed } : conditions[way]),
      heal: change(() => ({})),
      cut: (ending) => Effect.sync(() => links.forEach((link) => link.end(ending))),
      halfClose: (way) => Effect.sync(() => links.forEach((link) => link.closeWay(way))),
      refuse: (ending) => Effect.sync(() => void (refusal = ending)),
      close: ScopedRef.set(listening, Effect.succeedNone),
      reopen: Effect.gen(function*() {
        refusal = undefined
        if (Option.isNone(yield* ScopedRef.get(listening))) {
          yield* ScopedRef.set(listening, Effect.asSome(open(target.port)))
        }
      }),
      connections: Effect.sync(() => journal.map(({ connection }) => connection))
    }
  })
