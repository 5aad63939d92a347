/** An embedded server: a server host whose time is that of Effect's Clock, and the service by which users inspect it. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { type JobId, PeekedJob, type TubeName } from "../../Job.ts"
import type { Connection } from "../broker/connection.ts"
import type { Job } from "../broker/model.ts"
import * as ClockTimer from "./clockTimer.ts"
import type { Fault } from "./fault.ts"
import { jobId, Journal, type JournalEntry } from "./journal.ts"
import { ServerHost } from "./serverHost.ts"

/**
 * Options of an embedded server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The version of beanstalkd to behave as. They differ in the quotes of statistics, and in what `reserve-with-timeout` accepts.
   * Default: `1.13`.
   */
  readonly version?: "1.12" | "1.13" | undefined
  /** The largest body that `put` accepts, in bytes. Default: 65,535, as of beanstalkd without `-z`. */
  readonly maxJobSize?: number | undefined
  /** How many entries the journal keeps; older ones are dropped. Default: 100,000. */
  readonly journalSize?: number | undefined
}

/**
 * One open connection, as the server sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenConnection {
  /** Connections are counted from 1 in the order of connecting. */
  readonly number: number
  readonly uses: TubeName
  readonly watches: ReadonlyArray<TubeName>
  /** Whether it waits in a reserve. */
  readonly isWaiting: boolean
  /** The jobs it has reserved. */
  readonly holds: ReadonlyArray<JobId>
}

/**
 * A job of any tube, as the server stores it.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredJob {
  readonly id: JobId
  readonly tube: TubeName
  readonly state: "ready" | "reserved" | "delayed" | "buried"
  readonly priority: number
  /** The delay of its put or last release, in seconds. It is kept when the delay is over. */
  readonly delay: number
  /** In seconds. */
  readonly ttr: number
  /** The job as `peek` returns it, with its body. */
  readonly peeked: PeekedJob
}

/**
 * Inspects and controls a running server, without a connection to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  /** The last `journalSize` events of all jobs, the oldest first. */
  readonly journal: Effect.Effect<ReadonlyArray<JournalEntry>>
  /**
   * The entries of the journal, and then each event as it happens. The Stream does not end.
   *
   * **Example** (wait until a job is deleted, or return at once if it has been)
   *
   * ```ts
   * import { Stream } from "effect"
   * import type { EmbeddedServer } from "effect-beanstalk"
   *
   * const untilDeleted = (server: EmbeddedServer.Server, mine: string) =>
   *   server.events.pipe(
   *     Stream.takeUntil(({ event, id }) => event === "deleted" && id === mine),
   *     Stream.runDrain
   *   )
   * ```
   */
  readonly events: Stream.Stream<JournalEntry>
  /** All jobs, in the order of their ids. No connection is used, so this works under every fault. */
  readonly jobs: Effect.Effect<ReadonlyArray<StoredJob>>
  /** The open connections, in the order of connecting. */
  readonly connections: Effect.Effect<ReadonlyArray<OpenConnection>>
  /** Enters drain mode, as beanstalkd does on SIGUSR1: every `put` is answered with `DRAINING`. It cannot be left. */
  readonly drain: Effect.Effect<void>
  /** Injects a fault. */
  readonly inject: (fault: Fault) => Effect.Effect<void>
  /** Ends all faults. What was held back by `Silence` is delivered. */
  readonly heal: Effect.Effect<void>
}

/** Starts a server that is closed with the scope. `pid` is what `stats` reports. */
export const start = Effect.fnUntraced(function*(options: Options = {}, pid = 0) {
  const { journalSize = 100_000, maxJobSize = 65_535, version = "1.13" } = options
  const journal = new Journal(journalSize)
  const timer: ClockTimer.ClockTimer = yield* ClockTimer.make(() => serverHost.fire())
  const serverHost: ServerHost = new ServerHost({
    identity: {
      version,
      maxJobSize,
      id: yield* randomId,
      startedAt: timer.now(),
      pid,
      hostname: "localhost",
      os: "effect-beanstalk EmbeddedServer",
      platform: "memory"
    },
    now: timer.now,
    setTimer: timer.set,
    onEvent: (event, { id, state, tube }, client) =>
      journal.add(serverHost.broker.store.now, event, id, tube.name, state, client?.number)
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => serverHost.close()))
  return { serverHost, server: makeServer(serverHost, journal) }
})

/** 16 hexadecimal digits from Effect's Random, so that a seeded program has the same id in every run. */
const randomId = Effect.map(
  Effect.all(Array.from({ length: 16 }, () => Random.nextIntBetween(0, 16))),
  (digits) => digits.map((digit) => digit.toString(16)).join("")
)

const makeServer = (serverHost: ServerHost, journal: Journal): Server => ({
  journal: Effect.sync(() => journal.entries),
  events: Stream.asyncPush<JournalEntry>((emit) => {
    const listener = (entry: JournalEntry) => emit.single(entry)
    return Effect.acquireRelease(
      Effect.sync(() => {
        for (const entry of journal.entries) listener(entry)
        journal.subscribe(listener)
      }),
      () => Effect.sync(() => journal.unsubscribe(listener))
    )
  }, { bufferSize: "unbounded" }),
  jobs: Effect.sync(() => Array.from(storedJobs(serverHost.broker.store.jobs.values()))),
  connections: Effect.sync(() => Array.from(serverHost.broker.connections, openConnection)),
  drain: Effect.sync(() => serverHost.broker.drain()),
  inject: (fault) => Effect.sync(() => serverHost.inject(fault)),
  heal: Effect.sync(() => serverHost.heal())
})

const openConnection = ({ client }: Connection): OpenConnection => ({
  number: client.number,
  uses: client.used.name,
  watches: client.watched.map(({ name }) => name),
  isWaiting: client.isWaiting,
  holds: Array.from(client.held, ({ id }) => jobId(id))
})

const storedJobs = function*(jobs: Iterable<Job>): Generator<StoredJob> {
  for (const { body, delay, id, priority, state, tube, ttr } of jobs) {
    // Its body is still being uploaded.
    if (state === "invalid") continue
    const peeked = new PeekedJob(jobId(id), body.slice(0, -2))
    yield { id: peeked.id, tube: tube.name, state, priority, delay, ttr, peeked }
  }
}
