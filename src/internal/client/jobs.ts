/** Lists jobs, with their bodies if these are wanted. */
import * as Arr from "effect/Array"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import { constTrue } from "effect/Function"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type ConnectFailed, InvalidArgument, type PutError, type ReachExceeded } from "../../BeanstalkError.ts"
import { defaultTube, type PeekedJob } from "../../Job.ts"
import type { JobStats } from "../../Stats.ts"
import type { ServerSession } from "../connection/connect.ts"
import { sendAllPresent, statsOfJobs } from "../connection/sendAll.ts"
import type { Session } from "../connection/session.ts"
import { batchOf } from "../protocol/command.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import { nextBatch } from "./batchSize.ts"
import type { Dedicated } from "./dedicated.ts"
import { type ListedState, search, type SearchProgress, windowSize } from "./jobSearch.ts"

export interface JobsByIdOptions {
  /** The tube, or tubes, whose jobs are listed. Default: all tubes. */
  readonly tube?: string | ReadonlyArray<string> | undefined
  /** The jobs in which states. Default: all, `["ready", "reserved", "delayed", "buried"]`. */
  readonly states?: ReadonlyArray<ListedState> | undefined
  /** Which of these jobs, by their statistics. No body is read of the others. Default: all. */
  readonly where?: ((stats: JobStats) => boolean) | undefined
  /** Whether the bodies are read as well. A job that was deleted meanwhile is left out. Default: `false`. */
  readonly bodies?: boolean | undefined
}

export interface JobsOptions extends JobsByIdOptions {
  /** How many ids are asked for at most. Default: 10,000,000, which takes a server some 100 seconds. */
  readonly reach?: number | undefined
  /**
   * The newest id that is asked for. Default: the newest that the server has issued, which a put tells: see
   * `BeanstalkClient.Client.jobs`.
   */
  readonly newest?: string | undefined
  /** The part of its time for which the server is asked, above 0 and at most 1. Default: 0.5. */
  readonly serverShare?: number | undefined
  /** Runs after every 1,024 ids. */
  readonly onProgress?: ((progress: SearchProgress) => Effect.Effect<void>) | undefined
}

/** A job that was found. */
export interface ListedJob {
  readonly stats: JobStats
  /** `undefined` unless `bodies` is set. */
  readonly body: Uint8Array | undefined
}

export interface ListedJobWithBody extends ListedJob {
  readonly body: Uint8Array
}

export type JobsError = PutError | ConnectFailed | ReachExceeded

const checkWanted = (options: JobsByIdOptions) => ({
  tubes: options.tube === undefined
    ? undefined
    : [...new Set([options.tube].flat().map((tube) => Validate.tubeName("jobs", tube)))],
  states: options.states ?? (["ready", "reserved", "delayed", "buried"] as const),
  where: options.where ?? constTrue
})

const checkOptions = (options: JobsOptions) =>
  Validate.attempt(() => ({
    ...checkWanted(options),
    reach: Validate.positiveInteger("jobs", "reach", options.reach ?? 10_000_000),
    newest: options.newest === undefined ? undefined : Validate.jobId("jobs", options.newest),
    serverShare: Validate.share("jobs", "serverShare", options.serverShare ?? 0.5),
    onProgress: options.onProgress ?? (() => Effect.void)
  }))

/** An overloaded function, so that the body is there in the type if it is asked for. */
export interface ListJobs {
  (options: JobsOptions & { readonly bodies: true }): Stream.Stream<ListedJobWithBody, JobsError>
  (options?: JobsOptions): Stream.Stream<ListedJob, JobsError>
}

/** The overloaded function of one that lists bodies if they are asked for. */
export const overloadListJobs = (list: (options: JobsOptions) => Stream.Stream<ListedJob, JobsError>): ListJobs => {
  function listJobs(options: JobsOptions & { readonly bodies: true }): Stream.Stream<ListedJobWithBody, JobsError>
  function listJobs(options?: JobsOptions): Stream.Stream<ListedJob, JobsError>
  function listJobs(options: JobsOptions = {}): Stream.Stream<ListedJob, JobsError> {
    return list(options)
  }
  return listJobs
}

export const makeListJobs = (dedicated: Dedicated): ListJobs =>
  overloadListJobs((options) => {
    const checked = checkOptions(options)
    if (checked instanceof InvalidArgument) return Stream.fail(checked)
    return onSession(
      dedicated,
      (session) => Stream.filter(search({ ...checked, session }), checked.where).pipe(listed(session, options))
    )
  })

/** An overloaded function, as `ListJobs` is. */
export interface ListJobsById {
  <E, R>(
    ids: Stream.Stream<string, E, R>,
    options: JobsByIdOptions & { readonly bodies: true }
  ): Stream.Stream<ListedJobWithBody, E | PutError | ConnectFailed, R>
  <E, R>(
    ids: Stream.Stream<string, E, R>,
    options?: JobsByIdOptions
  ): Stream.Stream<ListedJob, E | PutError | ConnectFailed, R>
}

/** See {@link overloadListJobs}. */
export const overloadListJobsById = (
  list: <E, R>(
    ids: Stream.Stream<string, E, R>,
    options: JobsByIdOptions
  ) => Stream.Stream<ListedJob, E | PutError | ConnectFailed, R>
): ListJobsById => {
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
    return list(ids, options)
  }
  return listJobsById
}

export const makeListJobsById = (dedicated: Dedicated): ListJobsById =>
  overloadListJobsById((ids, options) => {
    const checked = Validate.attempt(() => checkWanted(options))
    if (checked instanceof InvalidArgument) return Stream.fail(checked)
    const states: ReadonlySet<string> = new Set(checked.states)
    const tubes: ReadonlySet<string> | undefined = checked.tubes && new Set(checked.tubes)
    const isWanted = (job: JobStats) => states.has(job.state) && (tubes?.has(job.tube) ?? true) && checked.where(job)
    return onSession(dedicated, (session) =>
      inWindows(ids).pipe(
        Stream.mapEffect((window) => statsOfIds(session, window)),
        Stream.flatMap((jobs) => Stream.fromChunk(Chunk.unsafeFromArray(jobs.filter(isWanted)))),
        listed(session, options)
      ))
  })

/** As many of a chunk at a time as are looked up together. */
export const inWindows = <A, E, R>(ids: Stream.Stream<A, E, R>): Stream.Stream<ReadonlyArray<A>, E, R> =>
  Stream.flatMap(Stream.chunks(ids), (chunk) => Stream.fromIterable(Arr.chunksOf(chunk, windowSize)))

const statsOfIds = (session: Session, ids: ReadonlyArray<string>) => {
  const checked = Validate.attempt(() => ids.map((id) => Validate.jobId("jobs", id)))
  return checked instanceof InvalidArgument ? checked : statsOfJobs(session, checked)
}

/** Runs a Stream on a connection of its own. */
const onSession = <A, E, R>(dedicated: Dedicated, run: (session: ServerSession) => Stream.Stream<A, E, R>) =>
  Stream.unwrapScoped(Effect.map(dedicated.open(defaultTube), run))

/** With the bodies if they are wanted. */
const listed = (session: Session, { bodies }: JobsByIdOptions) =>
<E, R>(
  jobs: Stream.Stream<JobStats, E, R>
): Stream.Stream<ListedJob, E | PutError, R> =>
  bodies === true
    ? jobs.pipe(Stream.chunks, Stream.flatMap((chunk) => withBodies(session, chunk)))
    : Stream.map(jobs, (stats) => ({ stats, body: undefined }))

/** Reads the bodies, as many at a time as are not too large together. */
const withBodies = (
  session: Session,
  jobs: Chunk.Chunk<JobStats>
): Stream.Stream<ListedJobWithBody, PutError> =>
  Stream.paginateChunkEffect({ left: jobs, batch: 1 }, ({ batch, left }) => {
    const stats = Chunk.take(left, batch)
    return Effect.map(
      sendAllPresent(session, batchOf(Chunk.toReadonlyArray(stats), ({ id }) => Commands.peek(id))),
      (peeked) => {
        const next = { left: Chunk.drop(left, batch), batch: nextBatch(peeked, batch) }
        return [join(stats, peeked), Chunk.isEmpty(next.left) ? Option.none() : Option.some(next)]
      }
    )
  })

const join = (jobs: Chunk.Chunk<JobStats>, peeked: ReadonlyArray<PeekedJob>): Chunk.Chunk<ListedJobWithBody> => {
  const bodies = new Map(peeked.map(({ body, id }) => [id, body]))
  return Chunk.filterMap(
    jobs,
    (stats) => Option.map(Option.fromNullable(bodies.get(stats.id)), (body) => ({ stats, body }))
  )
}
