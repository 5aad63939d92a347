/** Carries out an act, and says what was done. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Client, JobState } from "../../BeanstalkClient.ts"
import { nothing, sum, type Tally, total } from "../../internal/values/tally.ts"
import type { TubeName } from "../../Job.ts"
import type { OnProgress } from "../bulk.ts"
import { buryJobs } from "../buryJobs.ts"
import { type Failure, NothingThere } from "../failures.ts"
import { kickBuried, kickJobs } from "../kickJobs.ts"
import { tallyText } from "../tally.ts"
import { timeSpan } from "../terminal/text.ts"
import { type Act, type ActOnJobs, past, type Target, tubesText } from "./act.ts"
import type { Reader } from "./reading.ts"

type Pause = Extract<Act, { readonly _tag: "Pause" }>

/** Tells how far it is, and what was done at the end, however that comes. */
export const carryOut = ({ client, tell }: Reader, act: Act): Effect.Effect<void> => {
  let done = nothing
  const onProgress: OnProgress = (tally) => {
    done = tally
    return tell({ _tag: "Acted", done: total(tally) })
  }
  const run = act._tag === "Pause"
    ? Effect.as(pause(client, act), pausedText(act))
    : sameServer(client, act.target).pipe(
      Effect.zipRight(onJobs(client, act, onProgress)),
      Effect.tap(onProgress),
      Effect.map((tally) => `${doneText(act, tally)}.`)
    )
  return run.pipe(
    Effect.onExit((exit) =>
      tell({
        _tag: "ActEnded",
        act,
        done: total(done),
        notice: Exit.isSuccess(exit) ? exit.value : stoppedText(act, done, exit.cause)
      })
    ),
    Effect.ignore
  )
}

const doneText = (act: Act, tally: Tally): string =>
  `${tallyText(tally)} ${past(act)}${act._tag === "Move" ? ` to ${act.to}` : ""}`

const stoppedText = (act: Act, done: Tally, cause: Cause.Cause<Failure>): string => {
  const howFar = act._tag === "Pause" ? "Stopped" : `Stopped: ${doneText(act, done)}`
  return Option.match(Cause.failureOption(cause), {
    onNone: () => `${howFar}.`,
    onSome: (error) => `${howFar}. ${error._tag === "BulkStopped" ? error.cause.message : error.message}`
  })
}

const pausedText = ({ seconds, tubes }: Pause): string =>
  seconds === 0 ? `The pause of ${tubesText(tubes)} is over.` : `Paused ${tubesText(tubes)} for ${timeSpan(seconds)}.`

const pause = (client: Client, { seconds, tubes }: Pause) =>
  Effect.forEach(tubes, (tube) => client.pauseTube(tube, `${seconds} seconds`), { discard: true })

/** Fails if the server was restarted since the jobs were found. */
const sameServer = (client: Client, target: Target): Effect.Effect<void, Failure> =>
  target._tag === "OfTubes" || target.server === undefined
    ? Effect.void
    : Effect.flatMap(client.ready, ({ id }) =>
      id === target.server
        ? Effect.void
        : new NothingThere({ message: "The server was restarted meanwhile: these ids may be of other jobs." }))

const onJobs = (client: Client, act: ActOnJobs, onProgress: OnProgress): Effect.Effect<Tally, Failure> => {
  switch (act._tag) {
    case "Kick":
      return act.target._tag === "OfIds"
        ? kickJobs(client, act.target.jobs, onProgress)
        : inTurn(
          act.target,
          onProgress,
          ({ bound = 0, onProgress, tube }) => kickBuried(client, tube, bound, onProgress)
        )
    case "Bury":
      return buryJobs(
        client,
        act.target.jobs.filter(({ state }) => state === "ready" || state === "delayed"),
        onProgress
      )
    case "Delete":
      return inTurn(act.target, onProgress, ({ tube, ...options }) => client.purge(tube, options))
    case "Move":
      return inTurn(act.target, onProgress, ({ tube, ...options }) => client.move(tube, act.to, options))
  }
}

/** The jobs of one tube. */
interface Part {
  readonly tube: TubeName
  readonly states: ReadonlyArray<JobState> | undefined
  readonly ids: ReadonlyArray<string> | undefined
  /** How many jobs at most. */
  readonly bound: number | undefined
  readonly onProgress: OnProgress
}

/** Acts on one tube after the other. */
const inTurn = <E>(
  target: Target,
  onProgress: OnProgress,
  act: (part: Part) => Effect.Effect<Tally, E>
): Effect.Effect<Tally, E> =>
  target._tag === "OfIds"
    ? act({
      tube: target.tube,
      states: undefined,
      ids: target.jobs.map(({ id }) => id),
      bound: undefined,
      onProgress
    })
    : Effect.reduce(target.tubes, nothing, (before, tube) => {
      const withBefore = (done: Tally) => sum([before, done])
      const part = {
        tube,
        states: target.states,
        ids: undefined,
        bound: target.counts?.get(tube) ?? 0,
        onProgress: (done: Tally) => onProgress(withBefore(done))
      }
      return Effect.map(act(part), withBefore)
    })
