/** A server without disk space for its binlog. */
import type { Broker } from "../../../src/internal/broker/broker.ts"
import { idOf, type JobTracker, roundingError } from "./jobTracker.ts"
import type { Process } from "./process.ts"

export interface FullDiskOptions {
  readonly tracker: JobTracker
  /** The number of the server. */
  readonly server: number
  readonly now: () => number
  /** The process of a connection. */
  readonly processOf: (connection: number) => Process | undefined
}

/**
 * It refuses to put jobs, to release them with a delay, and to bury them. Those that it was to release or bury are hidden: no
 * command finds them until the server is restarted.
 *
 * A worker takes no more jobs once it has read such a refusal: only jobs that it had by then may be hidden.
 */
export class FullDisk {
  private readonly options: FullDiskOptions
  /** The connections whose clients have not read yet that a job is hidden. */
  private readonly unread = new Set<number>()
  private readonly readAt = new Map<Process, number>()

  constructor(options: FullDiskOptions) {
    this.options = options
  }

  readonly refuse: Broker["refuse"] = (command, client) => {
    switch (command.name) {
      case "put":
        return "OUT_OF_MEMORY"
      case "release":
        return command.delay > 0 && this.hide(command.id, client) ? "OUT_OF_MEMORY" : undefined
      case "bury":
        return this.hide(command.id, client) ? "INTERNAL_ERROR" : undefined
      default:
        return undefined
    }
  }

  /** A process has read an error on a connection. */
  onErrorRead(process: Process, connection: number): void {
    if (this.unread.delete(connection) && !this.readAt.has(process)) this.readAt.set(process, this.options.now())
  }

  private hide(id: number, client: Parameters<Broker["refuse"]>[1]): boolean {
    const { processOf, server, tracker } = this.options
    const job = Array.from(client.held).find((held) => held.id === id)
    if (job === undefined) return false
    client.held.remove(job)
    job.holder = undefined
    tracker.onHidden(server, job)
    const process = processOf(client.number)
    const readAt = process && this.readAt.get(process)
    const reservedAt = tracker.reservationOf(idOf(server, id), client.number)?.at ?? 0
    if (readAt !== undefined && reservedAt > readAt + roundingError) {
      tracker.violation(
        `job id ${id} was reserved ${reservedAt - readAt} ms after its worker knew that the disk was full`
      )
    }
    this.unread.add(client.number)
    return true
  }
}
