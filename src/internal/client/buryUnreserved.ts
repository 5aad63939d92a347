/**
 * Buries jobs that are not reserved, none of which becomes ready if the connection is lost meanwhile, unless it was ready.
 *
 * beanstalkd buries only jobs that are reserved, and makes these ready when their connection is lost: a worker would run a job
 * that was to be buried. So the commands are sent behind a reserve that waits, and behind them the connection is half-closed.
 * The server executes nothing behind the reserve before it is answered, and the half-close, which answers it, arrives after all
 * commands. If the connection is lost on the way, the server executes none of them. (A proxy that passes on a part of them, and
 * then half-closes, makes the server execute that part.)
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  type Buried,
  ConnectionLost,
  type DeadlineSoon,
  type JobNotFound,
  type PutError,
  type TimedOut
} from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import type { ServerInfo } from "../../Stats.ts"
import { inOneWrite, sendAllOptional } from "../connection/sendAll.ts"
import { batchOf, type Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import type { Dedicated } from "./dedicated.ts"

export interface UnreservedJob {
  readonly id: JobId
  /** The priority that it has once it is buried. */
  readonly priority: number
  /** It is ready again after this time if the server refuses to bury it. */
  readonly delaySeconds: number
}

/** The reserve waits for a job of this tube, into which no client puts any. */
const emptyTube = Validate.tubeName("watch", "effect-beanstalk/empty")

/** Where a half-close does not reach the server, the reserve is answered after a second, by which all commands have arrived. */
const waitForAll = Commands.reserveWithTimeout(1)

/**
 * The server does not distinguish a half-close from a process that has died before it fails to write a second reply. This is
 * the command for that reply.
 */
const detectClosed = Commands.listTubesWatched

type AnyCommand = Command<unknown, Buried | JobNotFound | DeadlineSoon | TimedOut>

const asAny = (command: AnyCommand) => command

/** If the server refuses to bury a job, it is released. Once it is buried, it cannot be. */
const buryOne = ({ delaySeconds, id, priority }: UnreservedJob) => [
  Commands.reserveJob(id),
  Commands.bury(id, priority),
  Commands.release(id, priority, delaySeconds)
]

/**
 * Succeeds with whether each was buried: the server finds no job that another connection has reserved. `server` is the instance in
 * which the jobs are: in another one, the ids may be ids of other jobs.
 */
export const buryUnreserved = (
  { address, openUnbounded }: Dedicated,
  server: ServerInfo,
  jobs: ReadonlyArray<UnreservedJob>
): Effect.Effect<ReadonlyArray<boolean>, PutError> =>
  Effect.gen(function*() {
    if (jobs.length === 0) return []
    const notSent = (reason: string, cause?: unknown) =>
      new ConnectionLost({ command: "bury", address, outcome: "NotSent", reason, cause })
    const session = yield* Effect.mapError(openUnbounded(emptyTube), (error) => notSent(error.detail, error))
    if (session.server.id !== server.id) return yield* notSent("another instance of beanstalkd answers there now")
    const [[, , ...answers]] = yield* inOneWrite(
      sendAllOptional(session, batchOf([waitForAll, detectClosed, ...jobs.flatMap(buryOne)], asAny)),
      session.end
    )
    return jobs.map((_, index) => Option.isSome(answers[3 * index + 1] ?? Option.none()))
  }).pipe(Effect.scoped)
