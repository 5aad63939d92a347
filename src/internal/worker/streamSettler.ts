/** Settles the jobs that a Stream has reserved at one server: as the program says, or as a worker does when a handler fails. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { Buried, type LeaseLost } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { Lost } from "../client/connectionState.ts"
import { decide, type Settlement } from "./decision.ts"
import type { JobEvent } from "./events.ts"
import { Bury, RetryAfter, type RunFailure, TookTooLong } from "./failure.ts"
import type { Lease } from "./lease.ts"
import type { Settings } from "./options.ts"
import { untilAccepted } from "./refusals.ts"
import type { Reservations } from "./reservations.ts"
import type { Settler } from "./streamReservation.ts"

/** What it has of the server. */
export interface SettlerOptions<A, R> {
  readonly policy: Settings<A, never, R>["policy"]
  /** The reconnect Schedule of the client. */
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  /** Succeeds once the server is taken to have room for the jobs that are released and buried. */
  readonly whenAvailable: Effect.Effect<void>
  /** The jobs of the connection that holds this one. `undefined` if it is lost, given back or settled. */
  readonly holderOf: (lease: Lease) => Reservations<never> | undefined
  /** Runs an Effect that ends with the Stream. */
  readonly fork: (effect: Effect.Effect<void, never, R>) => void
}

export class StreamSettler<A, R> implements Settler {
  private readonly options: SettlerOptions<A, R>
  /** The callers of `delete`, `bury` and `release`, by the job for whose event they wait. */
  private readonly waiting = new Map<JobId, (event: JobEvent<never>) => void>()

  constructor(options: SettlerOptions<A, R>) {
    this.options = options
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what the program decides
  // -------------------------------------------------------------------------------------------------------------------

  complete(lease: Lease): Effect.Effect<void, LeaseLost> {
    return this.whileHeld(lease, (reservations) => Effect.sync(() => reservations.complete(lease)))
  }

  delete(lease: Lease): Effect.Effect<void, LeaseLost> {
    return Effect.asVoid(this.untilEnded(lease, (reservations) => reservations.complete(lease)))
  }

  bury(lease: Lease): Effect.Effect<void, LeaseLost> {
    return Effect.asVoid(this.settleAs(lease, new Bury()))
  }

  release(lease: Lease, delay: Duration.Duration): Effect.Effect<void, LeaseLost | Buried> {
    return Effect.flatMap(
      this.settleAs(lease, new RetryAfter({ delay })),
      ({ _tag }) =>
        _tag === "Buried"
          ? new Buried({ command: "release", address: lease.connection.session.address, id: lease.id })
          : Effect.void
    )
  }

  /** Does what a worker does when a handler fails with this. */
  private settleAs(lease: Lease, order: Bury | RetryAfter): Effect.Effect<JobEvent<never>, LeaseLost> {
    return this.untilEnded(lease, () => this.options.fork(this.settleFailure(lease, Cause.fail(order))))
  }

  /** Tells the caller of `delete`, `bury` or `release` how its job ended, if there is a caller. */
  answer(event: JobEvent<never>): boolean {
    const onEvent = this.waiting.get(event.id)
    this.waiting.delete(event.id)
    onEvent?.(event)
    return onEvent !== undefined
  }

  /** Begins to end a reservation, and waits for its event. */
  private untilEnded(
    lease: Lease,
    settle: (reservations: Reservations<never>) => void
  ): Effect.Effect<JobEvent<never>, LeaseLost> {
    return this.whileHeld(lease, (reservations) =>
      Effect.async((resume) => {
        this.waiting.set(lease.id, (event) => resume(answerOf(lease, event)))
        settle(reservations)
      }))
  }

  private whileHeld<Result>(
    lease: Lease,
    settle: (reservations: Reservations<never>) => Effect.Effect<Result, LeaseLost>
  ): Effect.Effect<Result, LeaseLost> {
    return Effect.suspend(() => {
      if (lease.lost !== undefined) return lease.lost
      if (lease.hasTimedOut) return lease.lossBecause("its time to run was over, and the job was released")
      const reservations = this.options.holderOf(lease)
      return reservations === undefined || this.waiting.has(lease.id)
        ? lease.alreadySettled()
        : settle(reservations)
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // what a worker decides
  // -------------------------------------------------------------------------------------------------------------------

  /** The job was not settled within its time to run. */
  onTimeout(lease: Lease): void {
    this.options.fork(this.settleFailure(lease, timedOut))
  }

  settleFailure(lease: Lease, cause: Cause.Cause<RunFailure<never>>): Effect.Effect<void, never, R> {
    return Effect.suspend(() => {
      // If the time to run were over before it is decided what becomes of the job, it would be settled twice.
      lease.endRun()
      return Effect.matchEffect(this.statsOf(lease), {
        onFailure: ({ message }) => this.giveBack(lease, message),
        onSuccess: (stats) =>
          Effect.flatMap(
            decide(this.options.policy, lease, stats, cause),
            (settlement) => this.settle(lease, settlement)
          )
      })
    })
  }

  /** The statistics of the job. The server may refuse them for a while. */
  statsOf(lease: Lease): Effect.Effect<JobStats, LeaseLost> {
    return untilAccepted(lease.stats, this.options.reconnect)
  }

  giveBack(lease: Lease, reason: string): Effect.Effect<void> {
    return Effect.sync(() => this.options.holderOf(lease)?.giveBack(lease, reason))
  }

  /** While the server refuses to settle the job, it is held, and the decision is kept. */
  settle(lease: Lease, settlement: Settlement<never>): Effect.Effect<void> {
    const { holderOf, reconnect, whenAvailable } = this.options
    const settling = Effect.suspend(() => holderOf(lease)?.settle(lease, settlement) ?? Effect.void)
    return untilAccepted(Effect.zipRight(whenAvailable, settling), reconnect)
  }
}

/** How a reservation ended, for the caller of the method that was to end it. */
const answerOf = (lease: Lease, event: JobEvent<never>): Effect.Effect<JobEvent<never>, LeaseLost> => {
  switch (event._tag) {
    case "LeaseLost":
      return event.error
    case "Interrupted":
      return lease.lossBecause("the Stream has ended")
    case "CompletionUnknown":
      return lease.lossBecause(event.reason)
    default:
      return Effect.succeed(event)
  }
}

const timedOut = Cause.fail(new TookTooLong("The job was not settled within its time to run"))
