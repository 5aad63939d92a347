/** Something that changes, and on which tests wait. */
import * as Effect from "effect/Effect"

export class Changing {
  private readonly listeners = new Set<() => void>()

  /** To be called after every change. */
  readonly changed = (): void => {
    for (const listener of this.listeners) listener()
  }

  /** Waits until there is something to find. */
  found<A>(find: () => A | undefined): Effect.Effect<A> {
    return Effect.async((resume) => {
      const listener = () => {
        const value = find()
        if (value === undefined) return
        this.listeners.delete(listener)
        resume(Effect.succeed(value))
      }
      this.listeners.add(listener)
      listener()
      return Effect.sync(() => this.listeners.delete(listener))
    })
  }

  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.asVoid(this.found(() => condition() ? true : undefined))
  }
}
