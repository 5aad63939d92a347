/**
 * What a worker does when the server refuses commands: it sends them again under the reconnect Schedule, holds the job
 * meanwhile, and logs once what the server has answered.
 *
 * A beanstalkd without room in its binlog answers a release or bury with an error, and then keeps the job where no command finds
 * it until it is restarted. A worker takes no more jobs then, until a probe shows that the server has room again.
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as BeanstalkError from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { Lost } from "../client/connectionState.ts"
import type { Dedicated } from "../client/dedicated.ts"
import { pauses } from "../client/reconnect.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import type { Refusal } from "./events.ts"

/** Sends a command that the server has refused again, after a pause under the Schedule, until the server does not refuse it. */
export const sendAgain = <A, E, R>(
  send: Effect.Effect<A, E | BeanstalkError.ServerError, R>,
  refusal: BeanstalkError.ServerError,
  reconnect: Schedule.Schedule<unknown, Lost>
): Effect.Effect<A, Exclude<E, BeanstalkError.ServerError>, R> =>
  Effect.flatMap(pauses(reconnect), (pause) => {
    const again = (
      refusal: BeanstalkError.ServerError
    ): Effect.Effect<A, Exclude<E, BeanstalkError.ServerError>, R> =>
      Effect.zipRight(pause(refusal), Effect.catchIf(send, BeanstalkError.isServerError, again))
    return again(refusal)
  })

/** Whether a server that has answered this may keep the job where no command finds it. */
export const mayHideJob = ({ _tag, command }: Refusal): boolean =>
  (command === "release" || command === "bury") && (_tag === "OutOfMemory" || _tag === "InternalError")

/** The tube of the jobs that probe whether the server has room. Nobody should watch it. */
export const probeTube = Validate.tubeName("put", "effect-beanstalk.probe")

/** A job that is never ready: it is deleted at once, but the connection may be lost before that. */
const probeJob = Commands.put(
  new Uint8Array(0),
  { pri: 2 ** 32 - 1, delaySeconds: 2 ** 32 - 1, ttrSeconds: 1 },
  probeTube
)

/** Succeeds once the server stores a job. It is asked at once, and then under the Schedule. */
export const untilRoom = ({ open, reconnect }: Dedicated, tube: TubeName): Effect.Effect<void> => {
  const probe = Effect.scoped(Effect.flatMap(open(tube), ({ send }) => {
    const remove = (id: JobId) => Effect.ignore(send(Commands.deleteJob(id)))
    return send(probeJob).pipe(
      // Out of memory, the server stores the job, but as a buried one.
      Effect.tapErrorTag("Buried", ({ id }) => remove(id)),
      Effect.flatMap(remove)
    )
  }))
  return Effect.flatMap(pauses(reconnect), (pause) => {
    const again: Effect.Effect<void> = Effect.catchAll(probe, (error) => Effect.zipRight(pause(error), again))
    return again
  })
}
