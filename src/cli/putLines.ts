/** Puts what is read line by line: says how far it came when it is stopped, so that one can go on from there. */
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { PutAllStopped } from "../BeanstalkError.ts"
import type { JobId } from "../Job.ts"
import { type Failure, Stopped } from "./failures.ts"
import { Output } from "./terminal/output.ts"
import { withProgress } from "./terminal/progress.ts"
import { countedWere, thousands } from "./terminal/text.ts"

export interface Putting<out R> {
  /** `put`: what the progress line begins with. */
  readonly title: string
  /** How many lines were left out at the start. */
  readonly skip: number
  /** Puts the jobs, one for each line, until the input ends or `stop` is done. */
  readonly put: (stop: Effect.Effect<void>) => Stream.Stream<JobId, Failure, R>
  /** Runs for jobs that were put, in the order of their lines. */
  readonly onPut: (ids: ReadonlyArray<JobId>) => Effect.Effect<void, Failure, R>
  readonly isShown: boolean
}

/**
 * Puts each line. When it is interrupted it reads no more, and waits for the answers to what is sent, so that the line it tells is
 * the one to go on with.
 */
export const putLines = <R>({ isShown, onPut, put, skip, title }: Putting<R>) =>
  Effect.gen(function*() {
    const { note } = yield* Output
    const stop = yield* Deferred.make<void>()
    let done = 0
    const putting = withProgress(
      title,
      ({ done: show }) =>
        Stream.runForEachChunk(put(Deferred.await(stop)), (ids) =>
          Effect.zipRight(
            onPut(Chunk.toReadonlyArray(ids)),
            Effect.sync(() => {
              done += ids.length
              show(done)
            })
          )),
      { isShown }
    )
    /** An id comes for each line in front of the first that was not put, which is the one to go on with. */
    const howFar = (behind = "") => `${countedWere(done, "job")} put.${behind} Go on with --skip ${skip + done}.`
    const stoppedAtLine = ({ acknowledged, behind, failures: [{ error: cause }] }: PutAllStopped): Failure => {
      if (acknowledged === 0) return cause
      const again = behind.length === 0
        ? ""
        : ` ${countedWere(behind.length, "line")} put behind it, and will be put again.`
      const message = `line ${thousands(skip + done + 1)} was not put: ${cause.message} ${howFar(again)}`
      return new Stopped({ message, cause })
    }
    const stoppedBy = (error: Failure): Failure => {
      if (error._tag === "PutAllStopped") return stoppedAtLine(error)
      return done === 0 || error._tag === "PipeClosed"
        ? error
        : new Stopped({ message: `${error.message} ${howFar()}`, cause: error })
    }
    yield* Effect.uninterruptibleMask((restore) =>
      // A child of this fiber would be interrupted with it.
      Effect.flatMap(Effect.forkScoped(Effect.interruptible(putting)), (fiber) =>
        Effect.onInterrupt(restore(Fiber.join(fiber)), () =>
          Deferred.succeed(stop, undefined).pipe(
            Effect.zipRight(Fiber.join(fiber)),
            Effect.catchTag("PipeClosed", () => Effect.void),
            Effect.match({
              onSuccess: () => `after ${howFar()}`,
              onFailure: (error) => `midway: ${stoppedBy(error).message}`
            }),
            Effect.flatMap((where) => note(`Interrupted ${where}`))
          )))
    ).pipe(Effect.mapError(stoppedBy))
  })
