/** What ends a command before it is done. The messages are for the person who ran it. */
import * as Data from "effect/Data"
import type { BeanstalkError } from "../BeanstalkError.ts"

/** The command line is wrong. Nothing was sent. */
export class WrongUsage extends Data.TaggedError("WrongUsage")<{
  readonly message: string
  /** The command whose help explains it. */
  readonly command?: string | undefined
}> {}

/** There is no such job or tube, or none that matches. */
export class NothingThere extends Data.TaggedError("NothingThere")<{ readonly message: string }> {}

/** The person answered no. Nothing was changed. */
export class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}

/** The command stopped midway. The message says after how many. */
export class Stopped extends Data.TaggedError("Stopped")<{ readonly message: string; readonly cause?: unknown }> {}

/** The server refuses what the command needs. */
export class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

/** A file, a program or a port that the command line names cannot be used. Nothing was sent. */
export class SystemFailed extends Data.TaggedError("SystemFailed")<{ readonly message: string }> {}

/** What was found is bad, and the exit code tells how bad. */
export class FoundBad extends Data.TaggedError("FoundBad")<{
  readonly message: string
  readonly code: 1 | 2 | 3
  /** What is written on standard output, where the message would be written on standard error; nothing, if it is there already. */
  readonly line?: string
}> {}

/** The program that reads the output has closed it, as `head` does. */
export class PipeClosed extends Data.TaggedError("PipeClosed") {}

/** What a command may fail with. */
export type Failure =
  | BeanstalkError
  | WrongUsage
  | NothingThere
  | Declined
  | Stopped
  | Refused
  | SystemFailed
  | FoundBad
  | PipeClosed
