/**
 * beanstalkd without sockets, timers or a clock: bytes come in, bytes go out, and the caller says what time it is.
 *
 * Its replies equal those of the real server byte for byte, apart from the differences listed in `EmbeddedServer`.
 */
import type { CommandName } from "./commandParser.ts"
import { Connection, type ConnectionOwner, type Transport } from "./connection.ts"
import { JobStore, type OnJobEvent } from "./jobStore.ts"
import type { ServerCounters, ServerIdentity } from "./statsDocuments.ts"

export class Broker implements ConnectionOwner {
  readonly identity: ServerIdentity
  readonly store: JobStore
  /** The open connections, in the order of connecting. */
  readonly connections = new Set<Connection>()
  isDraining = false
  /** The error with which a command is answered instead of being executed. It is replaced to have commands refused. */
  refuse: ConnectionOwner["refuse"] = () => undefined
  private readonly commandCounts = new Map<CommandName, number>()
  private totalConnections = 0
  /** Connections with replies that have not been written. They may have commands to execute that were received after a reserve. */
  private readonly replied = new Set<Connection>()

  /** Times are in milliseconds since 1970. */
  constructor(identity: ServerIdentity, onEvent: OnJobEvent) {
    this.identity = identity
    this.store = new JobStore(identity.startedAt, onEvent)
  }

  /**
   * Runs an action at a time: first what is due by then, then the action; at the end all replies are written. Call the
   * methods of connections, and those that change jobs, only inside an action.
   */
  runAt<A>(now: number, action: () => A): A {
    this.store.now = now
    this.store.tick()
    const result = action()
    for (const connection of this.replied) {
      this.replied.delete(connection)
      connection.proceed()
    }
    return result
  }

  /** When the next delay, pause or timeout ends. Call `runAt` by then. */
  get nextTick(): number {
    return this.store.nextTick
  }

  connect(transport: Transport): Connection {
    const connection = new Connection(this, this.totalConnections += 1, transport)
    this.connections.add(connection)
    return connection
  }

  /** Enters drain mode, in which every put is refused. It cannot be left. */
  drain(): void {
    this.isDraining = true
  }

  get counters(): ServerCounters {
    const clients = Array.from(this.connections, ({ client }) => client)
    return {
      commands: this.commandCounts,
      connections: clients.length,
      totalConnections: this.totalConnections,
      producers: clients.filter(({ isProducer }) => isProducer).length,
      workers: clients.filter(({ isWorker }) => isWorker).length,
      waiting: clients.filter(({ isWaiting }) => isWaiting).length,
      isDraining: this.isDraining
    }
  }

  // Called by connections

  countCommand(name: CommandName): void {
    this.commandCounts.set(name, (this.commandCounts.get(name) ?? 0) + 1)
  }

  onReply(connection: Connection): void {
    this.store.timers.set(connection.client)
    this.replied.add(connection)
  }

  onClose(connection: Connection): void {
    this.connections.delete(connection)
    this.store.leave(connection.client)
  }
}
