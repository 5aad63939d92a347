/** Puts jobs of every state into tubes, and reads them back without `purge` or `move`. */
import type { BeanstalkConnection, Job } from "effect-beanstalk"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { floorOf, serverOf } from "../../src/internal/values/qualifiedId.ts"
import { clientTo } from "./clients.ts"
import { openTo } from "./connections.ts"
import { seed } from "./edition.ts"
import { Random } from "./random.ts"
import { chars } from "./replies.ts"
import type { Kind } from "./server.ts"

export type State = "ready" | "delayed" | "buried"

export const states: ReadonlyArray<State> = ["ready", "delayed", "buried"]

/** Every choice of states, in another order than the default. */
export const choices: ReadonlyArray<ReadonlyArray<State>> = [
  [],
  ["ready"],
  ["delayed"],
  ["buried"],
  ["delayed", "ready"],
  ["buried", "ready"],
  ["buried", "delayed"],
  ["buried", "delayed", "ready"]
]

/** A job to be put. */
export interface Wanted {
  readonly tube: string
  readonly state: State
  readonly body: string | Uint8Array
  readonly priority?: number
  /** In seconds. */
  readonly ttr?: number
  /** In seconds, of a delayed job. Default: an hour. */
  readonly delay?: number
}

const hour = 3600

/** A cluster for tests has as many servers, and gets jobs in turn. */
const mostServers = 3

/** Puts jobs in this order, without waiting in between. Those to be buried are never ready meanwhile. */
export const putJobs = (beanstalk: BeanstalkConnection.Connection, jobs: ReadonlyArray<Wanted>) =>
  Effect.forEach(jobs, ({ body, delay = hour, priority = 1024, state, tube, ttr = 60 }) => {
    const put = beanstalk.put(body, {
      tube,
      priority,
      ttr: `${ttr} seconds`,
      delay: state === "ready" ? 0 : `${delay} seconds`
    })
    const bury = (id: string) => Effect.zipRight(beanstalk.reserveJob(id), beanstalk.bury(id, priority))
    return state === "buried" ? Effect.tap(put, bury) : put
  }, { concurrency: 1000 })

/** A stored job. */
export interface Found {
  readonly id: Job.JobId
  readonly tube: string
  readonly state: string
  readonly priority: number
  readonly ttr: number
  readonly timeLeft: number
  /** One character for each byte. */
  readonly body: string
}

/** Every job of a server, or of those of a cluster, found by all ids that they have given. */
export const everyJob = (beanstalk: BeanstalkConnection.Connection) =>
  Effect.gen(function*() {
    const last = yield* Effect.replicateEffect(beanstalk.put("the last", { tube: "the-last" }), mostServers)
    yield* Effect.forEach(last, (id) => beanstalk.delete(id))
    const ofEachServer = Arr.dedupeWith(last, (one, other) => serverOf(one) === serverOf(other))
    const look = (id: string) =>
      Effect.zipWith(
        beanstalk.statsJob(id),
        beanstalk.peek(id),
        (stats, { body }): ReadonlyArray<Found> => [{
          id: stats.id,
          tube: stats.tube,
          state: stats.state,
          priority: stats.pri,
          ttr: stats.ttr,
          timeLeft: stats.timeLeft,
          body: chars(body)
        }],
        { concurrent: true }
      ).pipe(Effect.catchTag("JobNotFound", () => Effect.succeed([])))
    return (yield* Effect.forEach(ofEachServer.flatMap(idsBelow), look, { concurrency: 1000 })).flat()
  })

/** The ids that its server has given before it. */
const idsBelow = (id: Job.JobId): ReadonlyArray<string> => {
  const floor = floorOf(BigInt(id))
  return Array.from({ length: Number(BigInt(id) - floor) - 1 }, (_, index) => `${floor + BigInt(index + 1)}`)
}

/** A job without the fields that differ between runs and servers. */
export const essence = ({ body, priority, state, tube, ttr }: Found) => ({ body, priority, state, tube, ttr })

/** The same for a job to be put. */
export const essenceOf = ({ body, priority = 1024, state, tube, ttr = 60 }: Wanted) => ({
  body: typeof body === "string" ? body : chars(body),
  priority,
  state,
  tube,
  ttr
})

export type Essence = ReturnType<typeof essence>

/** Sorts jobs in an order that does not depend on ids. */
export const sorted = (jobs: ReadonlyArray<Essence>): ReadonlyArray<Essence> =>
  jobs.toSorted((one, other) => {
    const [first, second] = [JSON.stringify(one), JSON.stringify(other)]
    return first < second ? -1 : first > second ? 1 : 0
  })

/** The number of jobs in each state. */
export const tallyOf = (jobs: ReadonlyArray<{ readonly state: string }>) => {
  const count = (state: State) => jobs.filter((job) => job.state === state).length
  return { ready: count("ready"), delayed: count("delayed"), buried: count("buried") }
}

/** A server for one test, a connection to it, and a client. */
export const start = (kind: Kind) =>
  Effect.gen(function*() {
    const server = yield* kind.start()
    const beanstalk = yield* openTo(server)
    const client = yield* clientTo(server)
    return { server, beanstalk, client }
  })

/** The jobs on a server, without ids. */
export const left = (beanstalk: BeanstalkConnection.Connection) =>
  Effect.map(everyJob(beanstalk), (jobs) => sorted(jobs.map(essence)))

/** Jobs of all states, whose ids are scattered over several tubes, in runs and one by one, with random delays. */
export const scattered = (
  tubes: ReadonlyArray<string>,
  count: number,
  all: Partial<Wanted> = {}
): ReadonlyArray<Wanted> => {
  const random = new Random(seed + count)
  let tube = random.pick(tubes)
  let state: State = "ready"
  return Array.from({ length: count }, (_, index) => {
    if (random.chance(0.3)) tube = random.pick(tubes)
    if (random.chance(0.3)) state = random.pick(states)
    return {
      tube,
      state,
      body: `${index}`,
      priority: random.between(0, 2 ** 32 - 1),
      ttr: random.between(100, 2 ** 32 - 1),
      delay: random.between(1000, 2 ** 32 - 1),
      ...all
    }
  })
}
