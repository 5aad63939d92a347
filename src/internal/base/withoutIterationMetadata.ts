import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const ofNoIteration = Context.get(Context.empty(), Schedule.CurrentIterationMetadata)

/**
 * Runs an Effect without what `Effect.retry` and `Effect.repeat` tell it of the iteration before.
 *
 * What is opened keeps the Context in which it was opened, and with it the failure of the iteration before. Until the stack of an
 * error is read, V8 keeps with the error all that the functions on the stack refer to: the connection that was lost, with the Context in
 * which that was opened, and so on to the first. A program under `Effect.retry` kept 20 kB for each connection that it lost.
 */
export const withoutIterationMetadata = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Schedule.CurrentIterationMetadata>> =>
  Effect.provideService(self, Schedule.CurrentIterationMetadata, ofNoIteration)
