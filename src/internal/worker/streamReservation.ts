/** A lease as the program that runs a Stream of jobs sees it. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { type Buried, InvalidArgument, type LeaseLost } from "../../BeanstalkError.ts"
import * as Validate from "../protocol/validate.ts"
import { JobHandle } from "./jobHandle.ts"
import type { Lease } from "./lease.ts"

/** Ends reservations. Each method fails if the reservation was lost, or ended already. */
export interface Settler {
  /** Has the job deleted, and does not wait for the server. */
  complete(lease: Lease): Effect.Effect<void, LeaseLost>
  delete(lease: Lease): Effect.Effect<void, LeaseLost>
  bury(lease: Lease): Effect.Effect<void, LeaseLost>
  /** Fails with `Buried` if the server is out of memory, and has buried the job instead. */
  release(lease: Lease, delay: Duration.Duration): Effect.Effect<void, LeaseLost | Buried>
}

/** See `Worker.Reservation`. */
export class Reservation<out A> extends JobHandle {
  readonly payload: A
  readonly #lease: Lease
  readonly #settler: Settler

  constructor(payload: A, lease: Lease, settler: Settler) {
    super(lease)
    this.payload = payload
    this.#lease = lease
    this.#settler = settler
  }

  get complete() {
    return this.#settler.complete(this.#lease)
  }

  get delete() {
    return this.#settler.delete(this.#lease)
  }

  get bury() {
    return this.#settler.bury(this.#lease)
  }

  release(options?: {
    readonly delay?: Duration.DurationInput | undefined
  }): Effect.Effect<void, InvalidArgument | LeaseLost | Buried> {
    const delay = Validate.attempt(() => Validate.delay("release", options?.delay ?? "1 second"))
    return delay instanceof InvalidArgument ? delay : this.#settler.release(this.#lease, Duration.seconds(delay))
  }

  override toJSON() {
    const { id, tube } = this
    return { _id: "effect-beanstalk/Worker/Reservation", id, tube }
  }
}
