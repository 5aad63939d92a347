/** One round for all who ask. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import { leavingHalfOfTheTime } from "../../internal/queues/pace.ts"

export interface SharedRound<out A> {
  /** What the round tells: the one that runs, or has ended as short ago as it took, or a new one. */
  readonly ask: Effect.Effect<A>
  /** Whether it runs, or has just run. */
  readonly isActive: Effect.Effect<boolean>
}

/**
 * A round that begins when the first asks, and goes on if that one does not wait. It is not repeated for as long as it took, so that at
 * least half of the time is left to the server.
 */
export const make = <A>(round: Effect.Effect<A>): Effect.Effect<SharedRound<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const active = yield* Ref.make(Option.none<Deferred.Deferred<A>>())

    const run = (answer: Deferred.Deferred<A>) =>
      leavingHalfOfTheTime(Effect.intoDeferred(round, answer)).pipe(
        Effect.interruptible,
        Effect.ensuring(Ref.set(active, Option.none()))
      )

    const begin = Effect.gen(function*() {
      const own = yield* Deferred.make<A>()
      const answer = yield* Ref.modify(active, (running) => {
        const answer = Option.getOrElse(running, () => own)
        return [answer, Option.some(answer)]
      })
      if (answer === own) yield* Effect.forkIn(run(own), scope)
      return answer
    })

    return {
      ask: Effect.flatMap(Effect.uninterruptible(begin), Deferred.await),
      isActive: Effect.map(Ref.get(active), Option.isSome)
    }
  })
