/**
 * The server of a simulation, and the ways to it: every way can be broken by itself, and what goes in and out is seen.
 *
 * It is the embedded server from inside, where nothing comes late: whoever watches hears of each job the moment it happens.
 */
import { BeanstalkProtocol, type Connector } from "effect-beanstalk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { OnJobEvent } from "../../../src/internal/broker/jobStore.ts"
import * as SocketFastPath from "../../../src/internal/connection/socketFastPath.ts"
import * as ClockTimer from "../../../src/internal/embedded/clockTimer.ts"
import type { ClientEnd, FaultyTransport } from "../../../src/internal/embedded/faultyTransport.ts"
import * as MemorySocket from "../../../src/internal/embedded/memorySocket.ts"
import { ServerHost } from "../../../src/internal/embedded/serverHost.ts"
import type { Random } from "../random.ts"

/** Who looks on. */
export interface Audience {
  readonly onJobEvent: OnJobEvent
  /** A server begins, with no job; those of the one before are gone with it. */
  readonly onServer: () => void
}

/** The client at the other end of a transport. */
export interface Party {
  /** Somebody writes, now. What comes back is said in the server's place, if it is anything. */
  readonly onWrite: (chunk: Uint8Array) => Uint8Array | undefined
  /** It hears that it was given a job, by this connection. */
  readonly onReserved: (id: string, connection: number) => void
}

class WatchedHost extends ServerHost {
  readonly openTransports = new Set<FaultyTransport>()
  /** The number of the connection that somebody listens to now. */
  speaking = 0

  override open(clientEnd: ClientEnd): FaultyTransport | undefined {
    const transport = super.open({
      ...clientEnd,
      deliver: (bytes) => {
        this.speaking = transport?.connection.client.number ?? 0
        return clientEnd.deliver(bytes)
      }
    })
    if (transport !== undefined) this.openTransports.add(transport)
    return transport
  }

  override remove(transport: FaultyTransport): void {
    this.openTransports.delete(transport)
    super.remove(transport)
  }
}

export class Stage {
  readonly now: () => number
  private host: WatchedHost
  private readonly random: Random
  private readonly audience: Audience
  private readonly setTimer: (at: number) => void

  constructor(timer: ClockTimer.ClockTimer, random: Random, audience: Audience) {
    this.now = timer.now
    this.setTimer = timer.set
    this.random = random
    this.audience = audience
    this.host = this.begin()
  }

  private begin(): WatchedHost {
    this.audience.onServer()
    const host: WatchedHost = new WatchedHost({
      identity: {
        version: this.random.pick(["1.12", "1.13"]),
        maxJobSize: 65_535,
        id: Array.from({ length: 16 }, () => this.random.between(0, 15).toString(16)).join(""),
        startedAt: this.now(),
        pid: 0,
        hostname: "localhost",
        os: "a simulation",
        platform: "memory"
      },
      now: this.now,
      setTimer: this.setTimer,
      onEvent: (...event) => {
        if (this.host === host) this.audience.onJobEvent(...event)
      }
    })
    return host
  }

  /** The server dies, and another takes its place, without its jobs. */
  replace(): void {
    const before = this.host
    this.host = this.begin()
    before.close()
  }

  inject(...fault: Parameters<ServerHost["inject"]>): void {
    this.host.inject(...fault)
  }

  heal(): void {
    this.host.heal()
  }

  fire(): void {
    this.host.fire()
  }

  /** The transports of the open connections, in the order of connecting. */
  get transports(): ReadonlyArray<FaultyTransport> {
    return Array.from(this.host.openTransports)
  }

  /** Does something to transports. */
  harm(what: () => void): void {
    this.host.run(what)
  }

  connections() {
    return this.host.broker.connections
  }

  /** A way to whichever server there is. */
  connectorOf(party: Party): Context.Tag.Service<Connector.Connector> {
    return {
      address: "the simulation",
      socket: Effect.suspend(() => {
        const { host } = this
        return Effect.flatMap(MemorySocket.make(host), (socket) =>
          // The shorter way needs no scope.
          Effect.map(Effect.scoped(SocketFastPath.makeWriter(socket, constVoid)), (write) => {
            const decoder = new BeanstalkProtocol.ReplyDecoder(2 ** 20)
            const see = (reply: BeanstalkProtocol.Reply) => {
              if (reply._tag === "Reserved") party.onReserved(reply.id, host.speaking)
            }
            const run: typeof socket.run = (handler, options) =>
              socket.run((bytes) => {
                decoder.push(bytes, see)
                return handler(bytes)
              }, options)
            return SocketFastPath.withFastPath({ ...socket, run }, {
              write: (chunk) => {
                const answer = party.onWrite(chunk)
                if (answer !== undefined) host.inject({ _tag: "Answer", bytes: answer })
                write(chunk)
              }
            })
          }))
      })
    }
  }
}

/** A stage for as long as the scope is open. */
export const make = (random: Random, audience: Audience): Effect.Effect<Stage, never, Scope.Scope> =>
  Effect.gen(function*() {
    const timer: ClockTimer.ClockTimer = yield* ClockTimer.make(() => stage.fire())
    const stage: Stage = new Stage(timer, random, audience)
    return stage
  })
