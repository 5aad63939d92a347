/** Says why servers of a command cannot be reached, or do not answer. */
import * as Effect from "effect/Effect"
import type { Failure } from "../failures.ts"
import { messageOf } from "../messages.ts"
import { Output } from "../terminal/output.ts"

export const tell = (failures: ReadonlyArray<Failure>): Effect.Effect<void, never, Output> =>
  Effect.flatMap(
    Output,
    ({ note }) => Effect.forEach(failures, (failure) => note(`beanstalk: ${messageOf(failure)}`), { discard: true })
  )

/** Tells all but the first, with which it fails. */
export const failIfAny = <E extends Failure>([first, ...others]: ReadonlyArray<E>): Effect.Effect<void, E, Output> =>
  first === undefined ? Effect.void : Effect.zipRight(tell(others), Effect.fail(first))
