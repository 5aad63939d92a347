/** How much of a server's time a look takes. */
import * as Effect from "effect/Effect"

/** Runs an Effect, and then leaves the server alone for as long as it took: half of the time is for others. */
export const leavingHalfOfTheTime = <A, E, R>(look: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.timed(look), ([took, result]) => Effect.delay(Effect.succeed(result), took))
