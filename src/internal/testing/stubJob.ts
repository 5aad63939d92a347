/** The job that `WorkerTest.runOnce` gives to a handler: its stats come from options, and no server is involved. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"
import { LeaseLost } from "../../BeanstalkError.ts"
import { defaultTube, JobId, ReservedJob, type TubeName } from "../../Job.ts"
import { JobStats } from "../../Stats.ts"
import type { Defaults, Tube } from "../../Tube.ts"
import type { Job, RunStats } from "../../Worker.ts"
import * as AtOnce from "../base/atOnce.ts"
import * as Validate from "../protocol/validate.ts"
import { runStats } from "../worker/jobHandle.ts"

/** What the stats of the job say, and whether its lease is lost. See `WorkerTest.RunOptions`. */
export interface StubJobOptions {
  /** The number of the run, counted from 1. Default: 1. */
  readonly attempt?: number | undefined
  /** How often the connection of the job's worker was lost while the job was reserved. Default: 0. */
  readonly disconnects?: number | undefined
  /** How long ago the job was put. Default: just now. */
  readonly age?: Duration.DurationInput | undefined
  /** Default: that of the tube, or else 1024. */
  readonly priority?: number | undefined
  /** Default: that of the tube, or else a minute. */
  readonly ttr?: Duration.DurationInput | undefined
  /**
   * The lease is lost when this Effect ends: `Effect.sleep("1 minute")`, or the await of a `Deferred`. Default: the lease is not
   * lost.
   */
  readonly lostWhen?: Effect.Effect<unknown> | undefined
  /** Whether the handler is interrupted when the lease is lost. Default: `"interrupt"`. */
  readonly onLeaseLost?: "interrupt" | "continue" | undefined
}

/** The first id that a server gives. */
const id = Schema.decodeSync(JobId)("1")

export class StubJob extends Inspectable.Class implements Job {
  readonly id = id
  readonly tube: TubeName
  readonly #options: StubJobOptions
  readonly #stats: RunStats
  /** Fails when the lease is lost or the handler has ended, whichever is first. */
  readonly #end = Deferred.unsafeMake<never, LeaseLost>(FiberId.none)

  constructor(tube: TubeName = defaultTube, options: StubJobOptions, defaults: Defaults = {}) {
    super()
    this.tube = tube
    this.#options = options
    const { delay, priority = defaults.priority, ttr = defaults.ttr } = { delay: defaults.delay, ...options }
    this.#stats = statsOf(this.tube, { ...options, delay, priority, ttr })
  }

  get stats() {
    return this.#whileHeld(Effect.succeed(this.#stats))
  }

  get touch() {
    return this.#whileHeld(Effect.void)
  }

  get leaseLost() {
    return Deferred.await(this.#end)
  }

  /** Runs the handler while the job is held. */
  run<A, E, R>(handler: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaseLost, R> {
    const { lostWhen = Effect.never, onLeaseLost } = this.#options
    const lose = Effect.zipRight(lostWhen, this.#endBecause("`lostWhen` ended"))
    const annotated = Effect.annotateLogs(handler, { tube: this.tube, job: this.id })
    const run = onLeaseLost === "continue"
      ? Effect.scoped(Effect.zipRight(Effect.forkScoped(lose), annotated))
      : AtOnce.raceFirst(annotated, Effect.zipRight(lose, this.leaseLost))
    return Effect.ensuring(run, this.#endBecause("the handler has ended"))
  }

  override toJSON() {
    return { _id: "effect-beanstalk/Worker/Job", id: this.id, tube: this.tube }
  }

  #endBecause(reason: string): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const { id, tube } = this
      return Deferred.fail(this.#end, new LeaseLost({ id, tube, address: "WorkerTest.runOnce", reason }))
    })
  }

  #whileHeld<A>(effect: Effect.Effect<A>): Effect.Effect<A, LeaseLost> {
    return Effect.flatMap(Deferred.isDone(this.#end), (hasEnded) => hasEnded ? this.leaseLost : effect)
  }
}

const statsOf = (
  tube: TubeName,
  { age = 0, attempt = 1, delay = 0, disconnects = 0, priority = 1024, ttr = "1 minute" }: StubJobOptions & Defaults
): RunStats => {
  Validate.unit("runOnce", "age", age)
  const seconds = Validate.ttr("runOnce", ttr)
  const releases = Validate.positiveInteger("runOnce", "attempt", attempt) - 1
  const job = new JobStats({
    id,
    tube,
    state: "reserved",
    pri: Validate.u32("runOnce", "priority", priority),
    age: Math.floor(Duration.toSeconds(age)),
    delay: Validate.delay("runOnce", delay),
    ttr: seconds,
    timeLeft: seconds,
    file: 0,
    reserves: attempt + disconnects,
    timeouts: 0,
    releases,
    buries: 0,
    kicks: 0,
    unknown: {}
  })
  return runStats(job)
}

/** The payload, encoded and decoded, as it is when a worker has received it. */
export const throughTube = <A, R>(tube: Tube<A, R>, payload: A) =>
  Effect.flatMap(
    tube.encode(payload),
    (body) => tube.decode(new ReservedJob(id, Validate.body("runOnce", body)))
  )
