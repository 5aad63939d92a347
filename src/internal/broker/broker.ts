/**
 * A beanstalkd without sockets, timers or a clock: bytes in, bytes out, and the time is told.
 *
 * It answers byte for byte as the real one does, apart from what is listed at `EmbeddedServer`.
 */
import type { CommandName } from "./commandLine.ts"
import { Connection, type Wire } from "./connection.ts"
import { type Memory, type OnJobEvent, Queues } from "./queues.ts"
import type { Counters, Identity } from "./statistics.ts"

export class Broker {
  readonly queues: Queues
  readonly identity: Identity
  readonly counters: { -readonly [K in keyof Counters]: Counters[K] } & { readonly commands: Map<CommandName, number> }
  /** Those that have something to say. */
  private readonly replied = new Set<Connection>()

  /** Times are in milliseconds since 1970. */
  constructor(identity: Identity, onEvent: OnJobEvent) {
    this.identity = identity
    this.queues = new Queues(identity.startedAt, onEvent)
    this.counters = {
      commands: new Map(),
      connections: 0,
      totalConnections: 0,
      producers: 0,
      workers: 0,
      isDraining: false
    }
  }

  /** Does something at a time: first all that is due then, and at the end all replies are written. */
  at<A>(now: number, what: () => A): A {
    this.queues.now = now
    this.queues.tick()
    const result = what()
    for (const connection of this.replied) {
      // Its going on may be an answer to one that has had its turn here.
      this.replied.delete(connection)
      connection.goOn()
    }
    return result
  }

  /** When something will happen by itself: `at` is to be called then. */
  get nextTick(): number {
    return this.queues.nextTick
  }

  connect(wire: Wire): Connection {
    this.counters.connections += 1
    this.counters.totalConnections += 1
    return new Connection(this, this.counters.totalConnections, wire)
  }

  /** New jobs are refused from now on, and for ever. */
  drain(): void {
    this.counters.isDraining = true
  }

  set memory(memory: Memory) {
    this.queues.memory = memory
  }

  // What connections tell

  count(name: CommandName): void {
    this.counters.commands.set(name, (this.counters.commands.get(name) ?? 0) + 1)
  }

  /** Lets happen what has become due by what was just done. */
  settle(): void {
    this.queues.tick()
  }

  onReply(connection: Connection): void {
    this.queues.makeAppointment(connection)
    this.replied.add(connection)
  }

  leave(connection: Connection, was: { readonly isProducer: boolean; readonly isWorker: boolean }): void {
    this.counters.connections -= 1
    if (was.isProducer) this.counters.producers -= 1
    if (was.isWorker) this.counters.workers -= 1
    this.queues.leave(connection)
  }
}
