/** The flags that say which jobs of the tubes a command is for. */
import type * as Duration from "effect/Duration"
import type { ListedState } from "../../BeanstalkClient.ts"
import type { JobId } from "../../Job.ts"
import * as Flag from "../table/flag.ts"
import { duration } from "../values/duration.ts"
import { positiveCount } from "../values/number.ts"
import { choice, file, jobId, regex } from "../values/text.ts"

export const allStates = ["ready", "reserved", "delayed", "buried"] as const

/** Reserved jobs are those of the connection that has reserved them. */
export const unreservedStates = ["ready", "delayed", "buried"] as const

/** Which jobs. */
export interface Selection<out State extends ListedState = ListedState> {
  readonly states: ReadonlyArray<State>
  readonly match: RegExp | undefined
  readonly olderThan: Duration.Duration | undefined
  readonly newerThan: Duration.Duration | undefined
  readonly limit: number | undefined
  /** A file of ids, or `-`. */
  readonly idsFrom: string | undefined
  readonly reach: number
  readonly to: JobId | undefined
  readonly fullSpeed: boolean
}

/** For a command that is for jobs in these states; `usual` is for which ones if none is given. */
export const flags = <const State extends ListedState>(
  states: ReadonlyArray<State>,
  usual: ReadonlyArray<NoInfer<State>> = states
) => ({
  states: Flag.repeated("state", choice("STATE", states), {
    default: usual.join(","),
    summary: "only jobs in these states, repeated or with commas"
  }),
  match: Flag.optional("match", regex, { summary: "only jobs whose body, as text, has a match of it" }),
  olderThan: Flag.optional("older-than", duration, { summary: "only jobs that were put so long ago" }),
  newerThan: Flag.optional("newer-than", duration, {
    summary: "only jobs that were put since then, as in 2d; beanstalkd does not tell when a job was buried"
  }),
  limit: Flag.optional("limit", positiveCount, { summary: "at most so many jobs in all" }),
  idsFrom: Flag.optional("ids-from", file, {
    summary: "only jobs with the ids in a file, one a line; - reads standard input"
  }),
  reach: Flag.withDefault("reach", positiveCount, {
    default: "10M",
    summary: "how many ids to look through, from the newest down"
  }),
  to: Flag.optional("to", jobId, {
    summary:
      "the newest id to look at, so that no job is put to learn it; of several servers, for the one whose id it is"
  }),
  fullSpeed: Flag.on("full-speed", { summary: "do not leave half of its time to the server" })
})

/** What the help says about how jobs are found. */
export const details =
  "beanstalkd cannot list jobs, so that ids are looked up from the newest down until all jobs are found that it " +
  "counts. To learn the newest id, a job with the longest delay is put into the tube effect-beanstalk/newest, and deleted; " +
  "with --to nothing is put."
