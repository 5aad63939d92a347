/**
 * The jobs of a tube as a Stream, for those who write their own loop: a worker of one lane whose handler hands each job over,
 * and waits for what is decided about it.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { BeanstalkClient } from "../../BeanstalkClient.ts"
import { LeaseLost, type WorkerStartError } from "../../BeanstalkError.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { Tube } from "../../Tube.ts"
import { Bury, RetryAfter } from "./decision.ts"
import type { JobEvent } from "./events.ts"
import type { RunningJob } from "./jobHandle.ts"
import { start } from "./make.ts"
import type { Options } from "./options.ts"

export interface JobsOptions
  extends Pick<Options<never, never>, "heartbeat" | "maxDisconnects" | "onUndecodable" | "reserveSlice">
{}

/** Says what is to become of a job, and waits until it has. */
type Decide = (decision: Effect.Effect<void, Bury | RetryAfter>) => Effect.Effect<void, LeaseLost>

/** A job that was handed over. Who decides about it is told what has become of it. */
interface AtHand {
  isDecided: boolean
  readonly told: Deferred.Deferred<void, LeaseLost>
}

/** A job in the hands of whoever runs the Stream. */
export class Reservation<out A> extends Inspectable.Class {
  readonly payload: A
  readonly #job: RunningJob
  readonly #decide: Decide

  constructor(payload: A, job: RunningJob, decide: Decide) {
    super()
    this.payload = payload
    this.#job = job
    this.#decide = decide
  }

  get id(): JobId {
    return this.#job.id
  }

  get tube(): TubeName {
    return this.#job.tube
  }

  get stats() {
    return this.#job.stats
  }

  get touch() {
    return this.#job.touch
  }

  get leaseLost() {
    return this.#job.leaseLost
  }

  get delete(): Effect.Effect<void, LeaseLost> {
    return this.#decide(Effect.void)
  }

  get bury(): Effect.Effect<void, LeaseLost> {
    return this.#decide(new Bury({}))
  }

  release(options?: { readonly delay?: Duration.DurationInput | undefined }): Effect.Effect<void, LeaseLost> {
    return this.#decide(new RetryAfter({ delay: options?.delay ?? "1 second" }))
  }

  override toJSON() {
    const { id, tube } = this
    return { _id: "effect-beanstalk/Worker/Reservation", id, tube }
  }
}

export const jobs = <A, R>(
  tube: Tube<A, R>,
  options: JobsOptions = {}
): Stream.Stream<Reservation<A>, WorkerStartError, BeanstalkClient | R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const { address } = yield* BeanstalkClient
    const reservations = yield* Queue.unbounded<Reservation<A>>()
    /** Open while somebody waits for a job. */
    const demand = yield* Effect.makeLatch()
    let atHand: AtHand | undefined

    const handOver = (payload: A, job: RunningJob) =>
      Effect.gen(function*() {
        yield* demand.close
        const told = yield* Deferred.make<void, LeaseLost>()
        const verdict = yield* Deferred.make<void, Bury | RetryAfter>()
        const handed: AtHand = { isDecided: false, told }
        atHand = handed
        const decide: Decide = (decision) =>
          Effect.suspend(() => {
            if (handed.isDecided) return lost(job, address, "it has been dealt with")
            handed.isDecided = true
            return Effect.zipRight(Deferred.complete(verdict, decision), Deferred.await(told))
          })
        yield* Queue.offer(reservations, new Reservation(payload, job, decide))
        yield* Deferred.await(verdict)
      })

    const { crew, events } = yield* start(tube, handOver, { ...options, gate: demand.await, shutdownTimeout: 0 })
    events.listen((event) => {
      if (atHand !== undefined && event._tag !== "ShutdownReport") {
        Deferred.unsafeDone(atHand.told, answerOf(event, atHand, address))
      }
    })
    return Stream.repeatEffect(Effect.zipRight(demand.open, Queue.take(reservations))).pipe(
      // Its client may be closed before the Stream is.
      Stream.interruptWhen(crew.whenClosed)
    )
  }))

/** How it ended, for whoever decided that it should end. What ends undecided was taken from them. */
const answerOf = (event: JobEvent, { isDecided }: AtHand, address: string): Effect.Effect<void, LeaseLost> => {
  switch (event._tag) {
    case "LeaseLost":
      return event.error
    case "Interrupted":
      return lost(event, address, "the stream has ended")
    case "CompletionUnknown":
      return lost(event, address, event.reason)
    default:
      return isDecided ? Effect.void : lost(event, address, "its time was over")
  }
}

const lost = ({ id, tube }: Pick<RunningJob, "id" | "tube">, address: string, reason: string) =>
  new LeaseLost({ id, tube, address, reason })
