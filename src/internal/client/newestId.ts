/**
 * The newest id that the server has issued. No command tells it: a job with the longest delay is put, into a tube that no worker
 * watches, and deleted.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PutError } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import { deleteJobs, inOneWrite } from "../connection/sendAll.ts"
import type { Session } from "../connection/session.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import { longestDelaySeconds } from "./delays.ts"

/** The tube of the job, which the server removes with it. */
export const newestIdTube = Validate.tubeName("put", "effect-beanstalk/newest")

const settings = { pri: 2 ** 32 - 1, delaySeconds: longestDelaySeconds, ttrSeconds: 1 }

/**
 * The id, and what `next` succeeds with: its commands leave in one write, behind the put. A job that a lost connection has left in
 * the tube is deleted as well.
 */
export const newestId = <A>(session: Session, next: Effect.Effect<A, PutError>): Effect.Effect<[JobId, A], PutError> =>
  Effect.gen(function*() {
    const [[id, left], result] = yield* inOneWrite(
      inOneWrite(
        // A server without memory for its queues stores the job, too, but buries it.
        Effect.catchTag(
          session.send(Commands.put(new Uint8Array(0), settings, newestIdTube)),
          "Buried",
          ({ id }) => Effect.succeed(id)
        ),
        session.send(Commands.peekDelayed(newestIdTube))
      ),
      next
    )
    const jobs = [id, ...Option.toArray(left).flatMap((job) => job.id === id ? [] : [job.id])]
    yield* deleteJobs(session, jobs)
    return [id, result] as [JobId, A]
  }).pipe(Effect.uninterruptible)
