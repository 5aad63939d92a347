/**
 * A beanstalkd without sockets, timers or a clock: bytes in, bytes out, and the time is told.
 *
 * It answers byte for byte as the real one does, apart from what is listed at `EmbeddedServer`.
 */
import type { CommandName } from "./commandParser.ts"
import { Connection, type Transport } from "./connection.ts"
import { JobStore, type OnJobEvent } from "./jobStore.ts"
import type { Counters, Identity } from "./statsDocuments.ts"

export class Broker {
  readonly store: JobStore
  readonly identity: Identity
  /** Those that are not over, in the order of connecting. */
  readonly connections = new Set<Connection>()
  isDraining = false
  private readonly commands = new Map<CommandName, number>()
  private totalConnections = 0
  /** Those that have something to say, and behind that perhaps something to do. */
  private readonly replied = new Set<Connection>()

  /** Times are in milliseconds since 1970. */
  constructor(identity: Identity, onEvent: OnJobEvent) {
    this.identity = identity
    this.store = new JobStore(identity.startedAt, onEvent)
  }

  /** Does something at a time: first all that is due then, and at the end all replies are written. */
  at<A>(now: number, what: () => A): A {
    this.store.now = now
    this.store.tick()
    const result = what()
    this.goOn()
    return result
  }

  /** Whoever was given an answer by what another did, or by the time, does what it has been sent meanwhile. */
  private goOn(): void {
    for (const connection of this.replied) {
      this.replied.delete(connection)
      connection.goOn()
    }
  }

  /** When something will happen by itself: `at` is to be called then. */
  get nextTick(): number {
    return this.store.nextTick
  }

  connect(wire: Transport): Connection {
    const connection = new Connection(this, this.totalConnections += 1, wire)
    this.connections.add(connection)
    return connection
  }

  /** New jobs are refused from now on, and for ever. */
  drain(): void {
    this.isDraining = true
  }

  get counters(): Counters {
    const connections = [...this.connections]
    return {
      commands: this.commands,
      connections: connections.length,
      totalConnections: this.totalConnections,
      producers: connections.filter(({ isProducer }) => isProducer).length,
      workers: connections.filter(({ isWorker }) => isWorker).length,
      waiting: connections.filter(({ isWaiting }) => isWaiting).length,
      isDraining: this.isDraining
    }
  }

  // What connections tell

  count(name: CommandName): void {
    this.commands.set(name, (this.commands.get(name) ?? 0) + 1)
  }

  onReply(connection: Connection): void {
    this.store.makeAppointment(connection)
    this.replied.add(connection)
  }

  leave(connection: Connection): void {
    this.connections.delete(connection)
    this.store.leave(connection)
  }
}
