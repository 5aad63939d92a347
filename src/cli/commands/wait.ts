/** `beanstalk wait` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Connection } from "../../BeanstalkConnection.ts"
import type { JobId } from "../../Job.ts"
import { NothingThere, WrongUsage } from "../failures.ts"
import { serverOfJob } from "../ids.ts"
import { connections } from "../server/connect.ts"
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
  servers: "together",
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
    const look = job === undefined
      ? tubeLeft(yield* connections, tube ?? "")
      : jobLeft(yield* (yield* serverOfJob(job)).open, job)
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

const inTube = (connection: Connection, tube: string) =>
  connection.statsTube(tube).pipe(
    Effect.map(({ currentJobsDelayed: delayed, currentJobsReady: ready, currentJobsReserved: reserved }) => ({
      ready,
      reserved,
      delayed
    })),
    Effect.catchTag("TubeNotFound", () => Effect.succeed({ ready: 0, reserved: 0, delayed: 0 }))
  )

/** What is left in a tube; nothing, if that is so. */
const tubeLeft = (connections: ReadonlyArray<Connection>, tube: string) =>
  Effect.map(
    Effect.forEach(connections, (connection) => inTube(connection, tube), { concurrency: "unbounded" }),
    (all) => {
      const sum = (state: "ready" | "reserved" | "delayed") => all.reduce((sum, counts) => sum + counts[state], 0)
      const [ready, reserved, delayed] = [sum("ready"), sum("reserved"), sum("delayed")]
      return ready + reserved + delayed === 0
        ? ""
        : `${tube} still has ${thousands(ready)} ready, ${thousands(reserved)} reserved and ${
          thousands(delayed)
        } delayed jobs`
    }
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
