/** A job that no server knows, for a handler that is run without one. */
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
import * as Validate from "../protocol/validate.ts"
import { runStats } from "../worker/jobHandle.ts"

/** What a job has been through, and what it is to go through. */
export interface Circumstances {
  /** Which run it is, counted from 1. Default: 1. */
  readonly attempt?: number | undefined
  /** How often its worker was gone. Default: 0. */
  readonly disconnects?: number | undefined
  /** How long ago it was put. Default: just now. */
  readonly age?: Duration.DurationInput | undefined
  /** Default: as the tube has it, or else 1024. */
  readonly priority?: number | undefined
  /** Default: as the tube has it, or else a minute. */
  readonly ttr?: Duration.DurationInput | undefined
  /**
   * The job is ours until this is done: `Effect.sleep("1 minute")`, or the await of a `Deferred`. Default: for as long as the
   * handler runs.
   */
  readonly lostWhen?: Effect.Effect<unknown> | undefined
  /** Whether the handler is interrupted then. Default: `"interrupt"`. */
  readonly onLeaseLost?: "interrupt" | "continue" | undefined
}

/** A server begins with it. */
const id = Schema.decodeSync(JobId)("1")

export class RehearsedJob extends Inspectable.Class implements Job {
  readonly id = id
  readonly tube: TubeName
  readonly #circumstances: Circumstances
  readonly #stats: RunStats
  readonly #lost = Deferred.unsafeMake<never, LeaseLost>(FiberId.none)
  #isLost = false
  #isOver = false

  constructor(tube: TubeName = defaultTube, circumstances: Circumstances, defaults: Defaults = {}) {
    super()
    this.tube = tube
    this.#circumstances = circumstances
    const { delay, priority = defaults.priority, ttr = defaults.ttr } = { delay: defaults.delay, ...circumstances }
    this.#stats = statsOf(this.tube, { ...circumstances, delay, priority, ttr })
  }

  get stats() {
    return this.#unlessGone(Effect.succeed(this.#stats))
  }

  get touch() {
    return this.#unlessGone(Effect.void)
  }

  get leaseLost() {
    return Deferred.await(this.#lost)
  }

  /** Has something done while the job is ours. */
  hold<A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaseLost, R> {
    const { lostWhen = Effect.never, onLeaseLost } = this.#circumstances
    const losing = Effect.zipRight(lostWhen, Effect.suspend(() => this.#lose()))
    const ours = onLeaseLost === "continue"
      ? Effect.scoped(Effect.zipRight(Effect.forkScoped(Effect.ignore(losing)), work))
      : Effect.raceFirst(work, losing)
    return Effect.ensuring(ours, Effect.sync(() => this.#isOver = true))
  }

  override toJSON() {
    return { _id: "effect-beanstalk/Worker/Job", id: this.id, tube: this.tube }
  }

  #lose(): Effect.Effect<never, LeaseLost> {
    this.#isLost = true
    const lost = this.#loss("so it was rehearsed")
    return Effect.zipRight(Deferred.fail(this.#lost, lost), lost)
  }

  #unlessGone<A>(effect: Effect.Effect<A>): Effect.Effect<A, LeaseLost> {
    return Effect.suspend(() => {
      if (this.#isLost) return Deferred.await(this.#lost)
      return this.#isOver ? this.#loss("it has been dealt with") : effect
    })
  }

  #loss(reason: string): LeaseLost {
    return new LeaseLost({ id: this.id, tube: this.tube, address: "nowhere", reason })
  }
}

const statsOf = (
  tube: TubeName,
  { age = 0, attempt = 1, delay = 0, disconnects = 0, priority = 1024, ttr = "1 minute" }: Circumstances & Defaults
): RunStats => {
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

/** The payload as a worker gets it. */
export const throughTube = <A, R>(tube: Tube<A, R>, payload: A) =>
  Effect.flatMap(
    tube.encode(payload),
    (body) => tube.decode(new ReservedJob(id, Validate.body("runOnce", body)))
  )
