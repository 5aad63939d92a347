/**
 * Effects that run at once, each in a fiber of its own.
 *
 * `Effect.all`, `Effect.forEach` and `Effect.race` of Effect 3 may never end if they are interrupted while they begin: their fiber yields
 * there after 2,048 operations, and if it is interrupted before it goes on, it waits for fibers that it never starts.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Starts an Effect, and succeeds with what waits for its end, and ends as it does. */
type Begin = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Effect.Effect<A, E>, never, R>

/** What `use` begins runs at once. What still runs when `use` ends is interrupted, and waited for. */
export const using = <A, E, R>(use: (begin: Begin) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) => {
    const fibers: Array<Fiber.RuntimeFiber<unknown>> = []
    const begin: Begin = (self) =>
      // A fiber that fails is logged: these succeed with how they end.
      Effect.map(Effect.uninterruptible(Effect.fork(Effect.exit(restore(self)))), (fiber) => {
        fibers.push(fiber)
        return Effect.flatten(Fiber.join(fiber))
      })
    return Effect.ensuring(restore(use(begin)), Effect.suspend(() => Fiber.interruptAll(fibers)))
  })

/** Succeeds with both results. If one fails, the other is interrupted. */
export const both = <A, E, R, A2, E2, R2>(
  one: Effect.Effect<A, E, R>,
  other: Effect.Effect<A2, E2, R2>
): Effect.Effect<[A, A2], E | E2, R | R2> =>
  using((begin) =>
    Effect.gen(function*() {
      const first = yield* begin(one)
      const second = yield* begin(other)
      return yield* Effect.zip(first, second)
    })
  )

/** Succeeds with all results, in the order of the items. If one fails, the others are interrupted. */
export const forEach = <Item, A, E, R>(
  items: Iterable<Item>,
  run: (item: Item) => Effect.Effect<A, E, R>
): Effect.Effect<ReadonlyArray<A>, E, R> =>
  using((begin) => Effect.flatMap(Effect.forEach(items, (item) => begin(run(item))), (ends) => Effect.all(ends)))

/** Ends as the one that ends first. The other is interrupted. */
export const raceFirst = <A, E, R, A2, E2, R2>(
  one: Effect.Effect<A, E, R>,
  other: Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  using((begin) =>
    Effect.gen(function*() {
      const first = yield* Deferred.make<A | A2, E | E2>()
      yield* begin(Effect.intoDeferred(one, first))
      yield* begin(Effect.intoDeferred(other, first))
      return yield* Deferred.await(first)
    })
  )
