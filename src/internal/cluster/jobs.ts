/** `jobs` and `jobsById` on all servers of a cluster. */
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type {
  Client,
  JobsByIdOptions,
  JobsError,
  JobsOptions,
  ListedJob,
  ListedJobWithBody
} from "../../BeanstalkClient.ts"
import type { ConnectFailed, PutError } from "../../BeanstalkError.ts"
import { isJobId } from "../../Job.ts"
import { serverOf } from "../values/qualifiedId.ts"
import { forJobs } from "./gather.ts"
import type { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

/** Lists the jobs of all servers at once. If one fails, it emits what the others find, and fails then. */
const merged = <A, E>(members: Members, list: (member: ClusterMember) => Stream.Stream<A, E>) =>
  Stream.suspend(() => {
    const errors: Array<E> = []
    const lists = members.all.map((member) =>
      Stream.catchAll(list(member), (error) => Stream.drain(Stream.sync(() => errors.push(error))))
    )
    const end = Stream.suspend((): Stream.Stream<never, E> => {
      const [error] = errors
      return error === undefined ? Stream.empty : Stream.fail(error)
    })
    return Stream.concat(Stream.mergeAll(lists, { concurrency: "unbounded" }), end)
  })

export const makeListJobs = (members: Members): Client["jobs"] => {
  function listJobs(options: JobsOptions & { readonly bodies: true }): Stream.Stream<ListedJobWithBody, JobsError>
  function listJobs(options?: JobsOptions): Stream.Stream<ListedJob, JobsError>
  function listJobs(options: JobsOptions = {}): Stream.Stream<ListedJob, JobsError> {
    return merged(members, ({ client, id }) => client.jobs({ ...options, newest: newestOn(id, options) }))
  }
  return listJobs
}

/** An id is one of its server. The others are searched from their newest. */
const newestOn = (server: number, { newest }: JobsOptions): string | undefined =>
  newest !== undefined && isJobId(newest) && serverOf(newest) !== server ? undefined : newest

/** How many ids are looked up at a time. */
const windowSize = 1024

export const makeListJobsById = (members: Members): Client["jobsById"] => {
  function listJobsById<E, R>(
    ids: Stream.Stream<string, E, R>,
    options: JobsByIdOptions & { readonly bodies: true }
  ): Stream.Stream<ListedJobWithBody, E | PutError | ConnectFailed, R>
  function listJobsById<E, R>(
    ids: Stream.Stream<string, E, R>,
    options?: JobsByIdOptions
  ): Stream.Stream<ListedJob, E | PutError | ConnectFailed, R>
  function listJobsById<E, R>(
    ids: Stream.Stream<string, E, R>,
    options: JobsByIdOptions = {}
  ): Stream.Stream<ListedJob, E | PutError | ConnectFailed, R> {
    return ids.pipe(
      Stream.chunks,
      Stream.flatMap((chunk) => Stream.fromIterable(Arr.chunksOf(chunk, windowSize))),
      Stream.mapEffect((window) => lookUp(members, window, options)),
      Stream.flatMap((jobs) => Stream.fromChunk(Chunk.unsafeFromArray(jobs)))
    )
  }
  return listJobsById
}

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
