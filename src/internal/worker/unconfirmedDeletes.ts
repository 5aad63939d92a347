/**
 * Deletes of completed jobs whose answer was lost with the connection.
 *
 * Each is sent once more, on the next connection of the worker, if the same server process answers there. In another process
 * the id may be another job's. NOT_FOUND may mean that the first delete was carried out: the event is then `CompletionUnknown`.
 */
import * as Effect from "effect/Effect"
import * as AtOnce from "../base/atOnce.ts"
import type { ServerSession } from "../connection/connect.ts"
import * as Commands from "../protocol/commands.ts"
import { Event, type Events, type JobEvent } from "./events.ts"
import type { Lease } from "./lease.ts"

/** A job that is to be deleted, and its event once it is. */
export interface Completed<out E> {
  readonly lease: Lease
  readonly event: (lease: Lease) => JobEvent<E>
}

export class UnconfirmedDeletes<E> {
  private readonly events: Events<E>
  private deletes: Array<Completed<E>> = []
  /** Those that are sent again and not yet answered. */
  private readonly confirming = new Set<Completed<E>>()

  constructor(events: Events<E>) {
    this.events = events
  }

  get isEmpty(): boolean {
    return this.deletes.length === 0 && this.confirming.size === 0
  }

  add(completed: Completed<E>): void {
    this.deletes.push(completed)
  }

  confirm(session: ServerSession): Effect.Effect<void> {
    return Effect.suspend(() => {
      const all = this.takeAll()
      for (const completed of all) this.confirming.add(completed)
      return AtOnce.forEach(all, (completed) => this.confirmOne(session, completed)).pipe(
        Effect.asVoid,
        Effect.onInterrupt(() => Effect.sync(() => this.recordAllUnknown(all, "before the server had answered"))),
        Effect.ensuring(Effect.sync(() => all.forEach((completed) => this.confirming.delete(completed))))
      )
    })
  }

  /** The worker ends, or has no server any more. */
  giveUp(): void {
    this.recordAllUnknown([...this.takeAll(), ...this.confirming], "before the server could be asked again")
  }

  private recordAllUnknown(all: ReadonlyArray<Completed<E>>, when: string): void {
    for (const { lease } of all) this.recordUnknown(lease, `the worker ended ${when}`)
  }

  recordUnknown(lease: Lease, reason: string): void {
    this.events.record(lease, ({ id, tube }) => Event.CompletionUnknown({ tube, id, reason }))
  }

  private takeAll(): ReadonlyArray<Completed<E>> {
    const all = this.deletes
    this.deletes = []
    return all
  }

  private confirmOne(session: ServerSession, { event, lease }: Completed<E>): Effect.Effect<void> {
    if (session.server.id !== lease.connection.session.server.id) {
      return Effect.sync(() =>
        this.recordUnknown(lease, "another server process answers now, in which the id may be another job's")
      )
    }
    return Effect.match(session.send(Commands.deleteJob(lease.id)), {
      onSuccess: () => this.events.record(lease, event),
      onFailure: ({ message }) => this.recordUnknown(lease, message)
    })
  }
}
