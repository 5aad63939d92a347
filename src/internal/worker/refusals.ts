/** A command that the server refuses is sent again under the reconnect Schedule. The job is held meanwhile. */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { isServerError, type ServerError } from "../../BeanstalkError.ts"
import type { Lost } from "../client/connectionState.ts"
import { pauses } from "../client/reconnect.ts"

type Reconnect = Schedule.Schedule<unknown, Lost>

/** Sends a command until the server does not refuse it. */
export const untilAccepted = <A, E, R>(
  send: Effect.Effect<A, E | ServerError, R>,
  reconnect: Reconnect
): Effect.Effect<A, Exclude<E, ServerError>, R> =>
  Effect.catchIf(send, isServerError, (refusal) => sendAgain(send, refusal, reconnect))

/** Sends a command that the server has refused, after a pause under the Schedule, until the server does not refuse it. */
export const sendAgain = <A, E, R>(
  send: Effect.Effect<A, E | ServerError, R>,
  refusal: ServerError,
  reconnect: Reconnect
): Effect.Effect<A, Exclude<E, ServerError>, R> =>
  Effect.flatMap(pauses(reconnect), (pause) => {
    const again = (refusal: ServerError): Effect.Effect<A, Exclude<E, ServerError>, R> =>
      Effect.zipRight(pause(refusal), Effect.catchIf(send, isServerError, again))
    return again(refusal)
  })
