import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Client, ClientError } from "../../BeanstalkClient.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import type { TubeStats } from "../../Stats.ts"

const none = Effect.succeed(undefined)

/**
 * For how many seconds the next job of a tube has been ready; `undefined` if none is. It takes two more commands where one is ready, one
 * of which copies its body. The server counts the age of a job from its put: it was not ready before its delay was over.
 */
export const nextJobAge = (
  client: Client,
  { currentJobsReady, name }: TubeStats
): Effect.Effect<number | undefined, ClientError | InvalidArgument> => {
  if (currentJobsReady === 0) return none
  return Effect.gen(function*() {
    const next = yield* client.peekReady(name)
    if (Option.isNone(next)) return undefined
    const { age, delay } = yield* client.statsJob(next.value.id)
    return Math.max(0, age - delay)
  }).pipe(Effect.catchTag("JobNotFound", () => none))
}
