/** Commands about many jobs or tubes on the shared connection, without a fiber for each. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { type CommandError, type ConnectFailed, InvalidArgument, type JobNotFound } from "../../BeanstalkError.ts"
import type { JobId } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import { submitAll, toOptions } from "../connection/sendAll.ts"
import type { Command } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import type { SharedConnection } from "./sharedConnection.ts"

/** How many commands are sent at a time: those of other fibers come in between. */
const windowSize = 1024

const sendMany = <A, Failure>(shared: SharedConnection, commands: ReadonlyArray<Command<A, Failure>>) =>
  Effect.map(
    Effect.forEach(
      Arr.chunksOf(commands, windowSize),
      (window) => submitAll<A, Failure, ConnectFailed>(shared, window)
    ),
    Arr.flatten
  )

/** The statistics of tubes, of all if none are given, without those that do not exist. */
export const statsTubes = (
  shared: SharedConnection,
  tubes: Iterable<string> | undefined
): Effect.Effect<ReadonlyArray<TubeStats>, CommandError | InvalidArgument | ConnectFailed> =>
  Effect.gen(function*() {
    const names = tubes === undefined
      ? yield* shared.send(Commands.listTubes)
      : Validate.attempt(() => Array.from(tubes, (tube) => Validate.tubeName("stats-tube", tube)))
    if (names instanceof InvalidArgument) return yield* names
    const exits = yield* sendMany(shared, names.map(Commands.statsTube))
    return Arr.getSomes(yield* toOptions(exits))
  })

/** How a command about a job has ended. */
export type JobExit = Exit.Exit<void, CommandError | JobNotFound | ConnectFailed>

/** Sends a command about each job, and succeeds with how each ended, in the same order. */
export const forJobs = (
  shared: SharedConnection,
  name: string,
  command: (id: JobId) => Command<void, JobNotFound>,
  ids: Iterable<string>
): Effect.Effect<ReadonlyArray<JobExit>, InvalidArgument> => {
  const commands = Validate.attempt(() => Array.from(ids, (id) => command(Validate.jobId(name, id))))
  return commands instanceof InvalidArgument ? commands : sendMany(shared, commands)
}
