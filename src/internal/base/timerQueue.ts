/** Keeps appointments, however many there are: one fiber sleeps for the next. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Heap, type Positioned } from "./heap.ts"
import { aTurn } from "./macrotask.ts"
import { time } from "./monotonicClock.ts"

export interface Appointment extends Positioned {
  /** When, in milliseconds, on the clock of the heart. It belongs to the heart. */
  at: number
  /** It is time. */
  keep(now: number): void
}

/** Timers of JavaScript know no longer time than 24 days, and nobody minds to be woken once a day. */
const longestSleep = 24 * 60 * 60 * 1000

/**
 * How long, in milliseconds, it sleeps at most when something has been appointed since it looked last: less than until the
 * first appointment of a job. Jobs that are done at once leave no appointment behind, and each would wake it.
 */
const lull = 250

const never = Number.POSITIVE_INFINITY

/** So late, in milliseconds, one is only when the event loop has been blocked. */
const blocked = 50

export class Heart {
  /** The time in milliseconds, on a clock that nobody sets. */
  readonly now: () => number
  private readonly appointments = new Heap<Appointment>((a, b) => a.at <= b.at)
  private readonly nearer = Effect.unsafeMakeLatch()
  private sleepsUntil = never
  /** Whether something has been appointed since it looked last. */
  private isStirred = false

  constructor(now: () => number) {
    this.now = now
  }

  /** In place of what was appointed before; never, if that is the time. */
  set(appointment: Appointment, at: number): void {
    this.cancel(appointment)
    appointment.at = at
    if (at === never) return
    this.appointments.insert(appointment)
    this.isStirred = true
    if (at < this.sleepsUntil) this.nearer.unsafeOpen()
  }

  cancel(appointment: Appointment): void {
    if (appointment.position >= 0) this.appointments.remove(appointment)
  }

  /** Keeps what is due, for ever. */
  readonly beat: Effect.Effect<never> = Effect.forever(Effect.suspend(() => {
    this.nearer.unsafeClose()
    const now = this.now()
    const next = this.appointments.head?.at ?? never
    this.sleepsUntil = this.isStirred ? Math.min(next, now + lull) : next
    this.isStirred = false
    if (this.sleepsUntil === never) return this.nearer.await
    const left = this.sleepsUntil - now
    // What is left of a millisecond may be too little for a clock to move at all.
    if (left > 0) return Effect.raceFirst(Effect.sleep(Math.min(Math.ceil(left), longestSleep)), this.nearer.await)
    // Timers run first: what has arrived meanwhile is still unread, and may say that there is no hurry.
    return left < -blocked ? Effect.andThen(aTurn, this.keepAll) : this.keepAll
  }))

  private readonly keepAll = Effect.sync(() => {
    const now = this.now()
    for (let { head } = this.appointments; head !== undefined && head.at <= now; { head } = this.appointments) {
      this.appointments.remove(head)
      head.keep(now)
    }
  })
}

/** One that beats until its scope ends. */
export const make: Effect.Effect<Heart, never, Scope.Scope> = Effect.gen(function*() {
  const heart = new Heart(yield* time)
  yield* Effect.forkScoped(Effect.interruptible(heart.beat))
  return heart
})
