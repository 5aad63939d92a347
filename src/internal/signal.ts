import * as Effect from "effect/Effect"

/** One fiber waits, plain code wakes it. Raised while nobody waits, it is remembered once. */
export class Signal {
  private raised = false
  private waiting: (() => void) | undefined = undefined

  raise(): void {
    if (this.waiting === undefined) {
      this.raised = true
    } else {
      const resume = this.waiting
      this.waiting = undefined
      resume()
    }
  }

  /** Suspends until the signal is raised. Only the last wait counts. */
  readonly wait: Effect.Effect<void> = Effect.async((resume) => {
    if (this.raised) {
      this.raised = false
      resume(Effect.void)
    } else {
      this.waiting = () => resume(Effect.void)
    }
  })
}
