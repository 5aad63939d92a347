/** A host that runs by Effect's Clock, and what its users see of it. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { type JobId, PeekedJob, type TubeName } from "../../Job.ts"
import type { Connection } from "../broker/connection.ts"
import type { Job } from "../broker/job.ts"
import * as ClockTimer from "./clockTimer.ts"
import type { Fault } from "./fault.ts"
import { jobId, Journal, type JournalEntry } from "./journal.ts"
import { ServerHost } from "./serverHost.ts"

/**
 * What kind of server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Which beanstalkd to be. They differ in the quotes of statistics, and in the reading of `reserve-with-timeout`. Default: `1.13`. */
  readonly version?: "1.12" | "1.13" | undefined
  /** The largest body that is taken, in bytes. Default: 65,535, as beanstalkd has it without `-z`. */
  readonly maxJobSize?: number | undefined
  /** How many entries the journal keeps. Default: 100,000. */
  readonly journalSize?: number | undefined
}

/**
 * One open connection, as the server sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenConnection {
  /** Counted from 1 in the order of connecting. */
  readonly number: number
  readonly uses: TubeName
  readonly watches: ReadonlyArray<TubeName>
  readonly isWaiting: boolean
  /** The jobs it has reserved. */
  readonly holds: ReadonlyArray<JobId>
}

/**
 * A job that is in the server, in whatever tube.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredJob {
  readonly id: JobId
  readonly tube: TubeName
  readonly state: "ready" | "reserved" | "delayed" | "buried"
  readonly priority: number
  /** The delay it was put, or last released, with, in seconds. */
  readonly delay: number
  /** In seconds. */
  readonly ttr: number
  /** The job as `peek` would show it, with its body. */
  readonly peeked: PeekedJob
}

/**
 * A running server, from inside.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  /** What happened to jobs so far, the oldest first; of a long story only the last `journalSize` entries. */
  readonly journal: Effect.Effect<ReadonlyArray<JournalEntry>>
  /**
   * The journal, and then what happens as it happens. It has no end.
   *
   * **Example** (wait until a job is done, however long ago that was)
   *
   * ```ts
   * server.events.pipe(
   *   Stream.takeUntil(({ event, id }) => event === "deleted" && id === mine),
   *   Stream.runDrain
   * )
   * ```
   */
  readonly events: Stream.Stream<JournalEntry>
  /** The jobs there are, in the order in which they were put. Nobody is asked over a connection: it works under any fault. */
  readonly jobs: Effect.Effect<ReadonlyArray<StoredJob>>
  /** The connections that are open. */
  readonly connections: Effect.Effect<ReadonlyArray<OpenConnection>>
  /** Refuses new jobs from now on, with `DRAINING`, as beanstalkd does behind SIGUSR1. There is no way back. */
  readonly drain: Effect.Effect<void>
  /** Makes something go wrong. */
  readonly inject: (fault: Fault) => Effect.Effect<void>
  /** Ends every fault. What silence held back arrives. */
  readonly heal: Effect.Effect<void>
}

/** A host that lives as long as the scope, in a process if that is known. */
export const start = Effect.fnUntraced(function*(options: Options = {}, pid = 0) {
  const { journalSize = 100_000, maxJobSize = 65_535, version = "1.13" } = options
  const journal = new Journal(journalSize)
  const alarm: ClockTimer.ClockTimer = yield* ClockTimer.make(() => host.fire())
  const host: ServerHost = new ServerHost({
    identity: {
      version,
      maxJobSize,
      id: yield* instanceId,
      startedAt: alarm.now(),
      pid,
      hostname: "localhost",
      os: "effect-beanstalk EmbeddedServer",
      platform: "memory"
    },
    now: alarm.now,
    onNextTick: alarm.set,
    onEvent: (event, { id, state, tube }, client) =>
      journal.add(host.broker.store.now, event, id, tube.name, state, client?.number)
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => host.close()))
  return { host, server: serverOf(host, journal) }
})

/** 16 hexadecimal digits, of the program's own Random: a seeded program has the same each time. */
const instanceId = Effect.map(
  Effect.all(Array.from({ length: 16 }, () => Random.nextIntBetween(0, 16))),
  (digits) => digits.map((digit) => digit.toString(16)).join("")
)

const openConnection = ({ held, isWaiting, number, used, watched }: Connection): OpenConnection => ({
  number,
  uses: used.name,
  watches: watched.map(({ name }) => name),
  isWaiting,
  holds: Array.from(held, ({ id }) => jobId(id))
})

/** A job that is still being uploaded is none yet. */
const storedJobs = function*(jobs: Iterable<Job>): Generator<StoredJob> {
  for (const { body, delay, id, priority, state, tube, ttr } of jobs) {
    if (state === "invalid") continue
    const peeked = new PeekedJob(jobId(id), body.slice(0, -2))
    yield { id: peeked.id, tube: tube.name, state, priority, delay, ttr, peeked }
  }
}

const serverOf = (host: ServerHost, journal: Journal): Server => ({
  journal: Effect.sync(() => journal.last),
  events: Stream.asyncPush<JournalEntry>((emit) => {
    const listener = (entry: JournalEntry) => emit.single(entry)
    return Effect.acquireRelease(
      Effect.sync(() => {
        for (const entry of journal.last) listener(entry)
        journal.listen(listener)
      }),
      () => Effect.sync(() => journal.leave(listener))
    )
  }, { bufferSize: "unbounded" }),
  jobs: Effect.sync(() => Array.from(storedJobs(host.broker.store.jobs.values()))),
  connections: Effect.sync(() => Array.from(host.broker.connections, openConnection)),
  drain: Effect.sync(() => host.broker.drain()),
  inject: (fault) => Effect.sync(() => host.inject(fault)),
  heal: Effect.sync(() => host.heal())
})
