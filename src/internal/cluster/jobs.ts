/** `jobs` and `jobsById` on all servers of a cluster. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Take from "effect/Take"
import type { Client, JobsByIdOptions, JobsOptions } from "../../BeanstalkClient.ts"
import type { ConnectFailed } from "../../BeanstalkError.ts"
import { isJobId } from "../../Job.ts"
import * as AtOnce from "../base/atOnce.ts"
import { inWindows, overloadListJobs, overloadListJobsById } from "../client/jobs.ts"
import { serverOf } from "../values/qualifiedId.ts"
import { askOne, forJobs } from "./gather.ts"
import type { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

/**
 * Lists the jobs of all servers at once. If one fails, it emits what the others find, and fails then.
 *
 * `Stream.mergeAll` is not used: when it is not read to its end, it closes the connections before what must not be interrupted on them
 * has ended, and a search leaves the job that tells the newest id.
 */
const merged = <A, E>(members: Members, list: (member: ClusterMember) => Stream.Stream<A, E>) =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const found = yield* Queue.bounded<Take.Take<A, E | ConnectFailed>>(16)
    const listOne = (member: ClusterMember) =>
      Stream.unwrap(askOne(member, () => Effect.succeed(list(member)))).pipe(
        Stream.runForEachChunk((jobs) => Queue.offer(found, Take.chunk(jobs))),
        Effect.exit
      )
    const { all } = members
    const end = (exits: ReadonlyArray<Exit.Exit<void, E | ConnectFailed>>): Take.Take<never, E | ConnectFailed> => {
      if (all.length === 0) return Take.fail(members.nobody())
      const failed = exits.find(Exit.isFailure)
      return failed === undefined ? Take.end : Take.failCause(failed.cause)
    }
    yield* AtOnce.forEach(all, listOne).pipe(
      Effect.flatMap((exits) => Queue.offer(found, end(exits))),
      // In an uninterruptible region, too: nobody takes what is found once the Stream has ended.
      Effect.interruptible,
      Effect.forkScoped
    )
    return Stream.flattenTake(Stream.fromQueue(found))
  }))

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
