/** `jobs` and `jobsById` on all servers of a cluster. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client, JobsByIdOptions, JobsOptions } from "../../BeanstalkClient.ts"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import { isJobId } from "../../Job.ts"
import { inWindows, overloadListJobs, overloadListJobsById } from "../client/jobs.ts"
import { serverOf } from "../values/qualifiedId.ts"
import { askOne, forJobs } from "./gather.ts"
import type { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

/** Lists the jobs of all servers at once. If one fails, it emits what the others find, and fails then. */
const merged = <A, E>(members: Members, list: (member: ClusterMember) => Stream.Stream<A, E>) =>
  Stream.suspend(() => {
    const { all } = members
    const errors: Array<E | ConnectFailed> = all.length === 0 ? [members.nobody()] : []
    const lists = all.map((member) =>
      Stream.catchAll(
        Stream.unwrap(askOne(member, () => Effect.succeed(list(member)))),
        (error) => Stream.drain(Stream.sync(() => errors.push(error)))
      )
    )
    const end = Stream.suspend((): Stream.Stream<never, E | ConnectFailed> => {
      const [error] = errors
      return error === undefined ? Stream.empty : Stream.fail(error)
    })
    return Stream.concat(Stream.mergeAll(lists, { concurrency: "unbounded" }), end)
  })

export const makeListJobs = (members: Members): Client["jobs"] =>
  overloadListJobs((options) =>
    merged(members, ({ client, id }) => client.jobs({ ...options, newest: newestOn(id, options) }))
  )

/** An id is one of its server. The others are searched from their newest. */
const newestOn = (server: number, { newest }: JobsOptions): string | undefined =>
  newest !== undefined && isJobId(newest) && serverOf(newest) !== server ? undefined : newest

export const makeListJobsById = (members: Members): Client["jobsById"] =>
  overloadListJobsById((ids, options) =>
    inWindows(ids).pipe(
      Stream.mapEffect((window) => lookUp(members, window, options)),
      Stream.flatMap((jobs) => Stream.fromChunk(Chunk.unsafeFromArray(jobs)))
    )
  )

/** Looks jobs up on their servers at once. */
const lookUp = (members: Members, ids: ReadonlyArray<string>, options: JobsByIdOptions) =>
  Effect.map(
    forJobs(members, "jobs", ids, (id) => id, (client, share) =>
      Effect.map(
        Stream.runCollect(client.jobsById(Stream.fromIterable(share), options)),
        (jobs) => {
          const byId = new Map(Array.from(jobs, (job) => [`${job.stats.id}`, job]))
          return share.map((id) => byId.get(id))
        }
      )),
    (jobs) => jobs.filter((job) => job !== undefined)
  )
