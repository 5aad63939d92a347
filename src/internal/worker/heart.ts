/** Keeps every appointment of a worker, however many jobs it holds: one fiber sleeps for the next. */
import * as Effect from "effect/Effect"
import { Heap, type Positioned } from "../heap.ts"
import { turn } from "../turn.ts"

export interface Appointment extends Positioned {
  /** When, in milliseconds, on the clock of the heart. It belongs to the heart. */
  at: number
  /** It is time. */
  keep(now: number): void
}

/** Timers of JavaScript know no longer time than 24 days, and nobody minds to be woken once a day. */
const longestSleep = 24 * 60 * 60 * 1000

/** A sleep for less, in milliseconds, is none to Effect, and would be taken for ever. */
const nanosecond = 1e-6

/** So late, in milliseconds, one is only when the event loop has been blocked. */
const blocked = 50

export class Heart {
  /** The time in milliseconds, on a clock that nobody sets. */
  readonly now: () => number
  private readonly appointments = new Heap<Appointment>((a, b) => a.at <= b.at)
  private readonly nearer = Effect.unsafeMakeLatch()
  private sleepsUntil = Number.POSITIVE_INFINITY

  constructor(now: () => number) {
    this.now = now
  }

  /** In place of what was appointed before; never, if that is the time. */
  set(appointment: Appointment, at: number): void {
    this.cancel(appointment)
    appointment.at = at
    if (at === Number.POSITIVE_INFINITY) return
    this.appointments.insert(appointment)
    if (at < this.sleepsUntil) this.nearer.unsafeOpen()
  }

  cancel(appointment: Appointment): void {
    if (appointment.position >= 0) this.appointments.remove(appointment)
  }

  /** Keeps what is due, for ever. */
  readonly beat: Effect.Effect<never> = Effect.forever(Effect.suspend(() => {
    this.nearer.unsafeClose()
    this.sleepsUntil = this.appointments.head?.at ?? Number.POSITIVE_INFINITY
    if (this.sleepsUntil === Number.POSITIVE_INFINITY) return this.nearer.await
    const left = this.sleepsUntil - this.now()
    if (left > 0) {
      return Effect.raceFirst(Effect.sleep(Math.min(Math.max(left, nanosecond), longestSleep)), this.nearer.await)
    }
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

const aTurn = Effect.async<void>((resume) => turn(() => resume(Effect.void)))
