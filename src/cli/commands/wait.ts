/** `beanstalk wait` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Connection } from "../../BeanstalkConnection.ts"
import type { JobId } from "../../Job.ts"
import { NothingThere, WrongUsage } from "../failures.ts"
import { theConnection } from "../server/servers.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { thousands, timeSpan } from "../terminal/text.ts"
import { duration } from "../values/duration.ts"
import { jobId, tube } from "../values/text.ts"

const parameters = {
  tube: Argument.optional(tube, { summary: "the tube to wait for" }),
  job: Flag.optional("job", jobId, { summary: "wait for this job instead, until it is deleted or buried" }),
  for: Flag.optional("for", duration, { summary: "how long to wait at most [for ever]" })
}

export const command = Command.make({
  name: "wait",
  summary: "Wait until no job of a tube is ready, reserved or delayed, or until one job is done",
  details: ["Buried jobs are not waited for. A tube that does not exist has no jobs."],
  servers: "one",
  parameters,
  examples: [
    { run: "wait emails --for 10m", does: "until all is sent, before a deployment" },
    { run: "wait --job 8812031", does: "until one job is done" }
  ],
  exits: { 0: "nothing is left, or the job is deleted", 1: "the time was over, or the job is buried" },
  run: Effect.gen(function*() {
    const { for: limit = Duration.infinity, job, tube } = yield* Effect.all(parameters)
    if ((job === undefined) === (tube === undefined)) {
      return yield* new WrongUsage({ message: "give either TUBE or --job." })
    }
    const connection = yield* theConnection
    const look = job === undefined ? tubeLeft(connection, tube ?? "") : jobLeft(connection, job)
    let left = yield* look
    if (left === "") return
    yield* look.pipe(
      Effect.tap((what) =>
        Effect.sync(() => {
          left = what
        })
      ),
      Effect.repeat({ until: (what) => what === "", schedule: Schedule.spaced("200 millis") }),
      Effect.timeoutFail({
        duration: limit,
        onTimeout: () => new NothingThere({ message: `after ${timeSpan(Duration.toSeconds(limit))} ${left}.` })
      })
    )
  })
})

/** What is left in a tube; nothing, if that is so. */
const tubeLeft = (connection: Connection, tube: string) =>
  connection.statsTube(tube).pipe(
    Effect.map(({ currentJobsDelayed: delayed, currentJobsReady: ready, currentJobsReserved: reserved }) =>
      ready + reserved + delayed === 0
        ? ""
        : `${tube} still has ${thousands(ready)} ready, ${thousands(reserved)} reserved and ${
          thousands(delayed)
        } delayed jobs`
    ),
    Effect.catchTag("TubeNotFound", () => Effect.succeed(""))
  )

/** The state of a job; nothing, if it is deleted. Fails if it is buried. */
const jobLeft = (connection: Connection, id: JobId) =>
  connection.statsJob(id).pipe(
    Effect.flatMap(({ state }) =>
      state === "buried"
        ? new NothingThere({ message: `job ${id} is buried.` })
        : Effect.succeed(`job ${id} is still ${state}`)
    ),
    Effect.catchTag("JobNotFound", () => Effect.succeed(""))
  )
