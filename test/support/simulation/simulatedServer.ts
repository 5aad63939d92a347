/**
 * The server of a simulation, and the connections to it: faults are injected into each connection separately, and every write
 * and reply is observed.
 *
 * It uses the modules of the embedded server directly, not its public API, so that an event of a job is observed at the
 * moment when it happens.
 */
import { BeanstalkProtocol, type Connector } from "effect-beanstalk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { Broker } from "../../../src/internal/broker/broker.ts"
import type { OnJobEvent } from "../../../src/internal/broker/jobStore.ts"
import * as SocketFastPath from "../../../src/internal/connection/socketFastPath.ts"
import * as ClockTimer from "../../../src/internal/embedded/clockTimer.ts"
import type { ClientEnd, FaultyTransport } from "../../../src/internal/embedded/faultyTransport.ts"
import * as MemorySocket from "../../../src/internal/embedded/memorySocket.ts"
import { ServerHost } from "../../../src/internal/embedded/serverHost.ts"
import type { Random } from "../random.ts"
import type { Process } from "./process.ts"

export interface ServerObserver {
  readonly onJobEvent: OnJobEvent
  /** A server has started, without jobs; those of the server before it are lost. */
  readonly onServer: () => void
}

export interface ClientObserver {
  /** The client writes these bytes. Returns what is replied in place of the server, or `undefined` if the server replies. */
  readonly onWrite: (chunk: Uint8Array) => Uint8Array | undefined
  /** The client has received a reply on this connection. */
  readonly onReply: (reply: BeanstalkProtocol.Reply, connection: number) => void
  /** The process of the client, if it can be blocked. */
  readonly process: Process | undefined
}

class ObservedHost extends ServerHost {
  readonly openTransports = new Set<FaultyTransport>()
  /** The processes that can be blocked, by the numbers of their connections. */
  readonly processes = new Map<number, Process>()
  /** The number of the connection that delivers bytes to its client now. */
  deliveringConnection = 0
  /** What is replied in place of the server to what is being written. */
  replyInPlace: Uint8Array | undefined = undefined

  override takeAnswer(): Uint8Array | undefined {
    return this.replyInPlace
  }

  override open(clientEnd: ClientEnd): FaultyTransport | undefined {
    const transport = super.open(clientEnd)
    if (transport !== undefined) this.openTransports.add(transport)
    return transport
  }

  /** Opens a connection of a process, which reads nothing while it is blocked. */
  openFor(process: Process | undefined, { deliver, end, reset, setReading }: ClientEnd): FaultyTransport | undefined {
    const read = (action: () => void) => process === undefined ? action() : process.whenUnblocked(action)
    const transport = this.open({
      setReading,
      deliver: (bytes) => {
        read(() => {
          this.deliveringConnection = transport?.connection.client.number ?? 0
          deliver(bytes)
        })
        return true
      },
      end: () => read(end),
      reset: () => read(reset)
    })
    if (transport !== undefined && process !== undefined) {
      this.processes.set(transport.connection.client.number, process)
    }
    return transport
  }

  override remove(transport: FaultyTransport): void {
    this.openTransports.delete(transport)
    this.processes.delete(transport.connection.client.number)
    super.remove(transport)
  }
}

export class SimulatedServer {
  readonly number: number
  readonly now: () => number
  private host: ObservedHost
  /** Of its process. */
  private instance = ""
  private readonly random: Random
  private readonly observer: ServerObserver
  private readonly setTimer: (at: number) => void

  constructor(number: number, timer: ClockTimer.ClockTimer, random: Random, observer: ServerObserver) {
    this.number = number
    this.now = timer.now
    this.setTimer = timer.set
    this.random = random
    this.observer = observer
    this.host = this.start()
  }

  private start(): ObservedHost {
    this.observer.onServer()
    this.instance = this.newInstance()
    const instance = () => this.instance
    const host: ObservedHost = new ObservedHost({
      identity: {
        version: this.random.pick(["1.12", "1.13"]),
        maxJobSize: 65_535,
        get id() {
          return instance()
        },
        startedAt: this.now(),
        pid: 0,
        hostname: "localhost",
        os: "simulation",
        platform: "memory"
      },
      now: this.now,
      setTimer: this.setTimer,
      onEvent: (...event) => {
        if (this.host === host) this.observer.onJobEvent(...event)
      }
    })
    return host
  }

  private newInstance(): string {
    return Array.from({ length: 16 }, () => this.random.between(0, 15).toString(16)).join("")
  }

  get isDraining(): boolean {
    return this.host.broker.isDraining
  }

  drain(): void {
    this.host.broker.drain()
  }

  /** The server is killed and started again, with the jobs in its binlog. */
  restart(): void {
    this.instance = this.newInstance()
    this.host.broker.isDraining = false
    this.inject({ _tag: "Cut" })
  }

  /** The server is killed, and another one starts in its place, without jobs. */
  replace(): void {
    const before = this.host
    this.host = this.start()
    before.close()
  }

  inject(...fault: Parameters<ServerHost["inject"]>): void {
    this.host.inject(...fault)
  }

  /** Has commands answered with errors, until `heal`. */
  refuse(refuse: Broker["refuse"]): void {
    this.host.broker.refuse = refuse
  }

  heal(): void {
    this.refuse(() => undefined)
    this.host.heal()
  }

  /** The process of a connection. */
  processOf(connection: number): Process | undefined {
    return this.host.processes.get(connection)
  }

  fire(): void {
    this.host.fire()
  }

  /** The transports of the open connections, in the order of connecting. */
  get transports(): ReadonlyArray<FaultyTransport> {
    return Array.from(this.host.openTransports)
  }

  /** Changes transports, and then lets the server reply to whichever connections are affected. */
  run(change: () => void): void {
    this.host.run(change)
  }

  connections() {
    return this.host.broker.connections
  }

  /** A connector to the server that runs when the socket is opened. */
  connectorOf(client: ClientObserver): Context.Tag.Service<Connector.Connector> {
    return {
      address: `simulation-${this.number}`,
      socket: Effect.suspend(() => {
        const { host } = this
        const { process } = client
        const open = (clientEnd: ClientEnd) => host.openFor(process, clientEnd)
        return Effect.flatMap(MemorySocket.make({ open }), (socket) =>
          // A scope is for the writer of other sockets: that of the fast path needs none.
          Effect.map(Effect.scoped(SocketFastPath.makeWriter(socket, constVoid)), ({ write }) => {
            const decoder = new BeanstalkProtocol.ReplyDecoder(2 ** 20)
            const observe = (reply: BeanstalkProtocol.Reply) => client.onReply(reply, host.deliveringConnection)
            let isOpen = true
            const run: typeof socket.run = (handler, options) =>
              Effect.ensuring(
                socket.run((bytes) => {
                  // What a blocked process has not read when it closes the connection is discarded.
                  if (!isOpen) return
                  decoder.push(bytes, observe)
                  return handler(bytes)
                }, options),
                Effect.sync(() => {
                  isOpen = false
                })
              )
            const send = (chunk: Uint8Array) => {
              host.replyInPlace = client.onWrite(chunk)
              write(chunk)
              // If the connection is cut or silent, nobody has taken it, and it is no reply to what another connection writes.
              host.replyInPlace = undefined
            }
            return SocketFastPath.withFastPath({ ...socket, run }, {
              write: (chunk) => process === undefined ? send(chunk) : process.whenUnblocked(() => send(chunk))
            })
          }))
      })
    }
  }
}

/** A server that runs until the scope closes. */
export const make = (
  number: number,
  random: Random,
  observer: ServerObserver
): Effect.Effect<SimulatedServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const timer: ClockTimer.ClockTimer = yield* ClockTimer.make(() => server.fire())
    const server: SimulatedServer = new SimulatedServer(number, timer, random, observer)
    return server
  })
