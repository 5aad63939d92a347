/** A lease as the program that runs a Stream of jobs sees it. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { LeaseLost } from "../../BeanstalkError.ts"
import { Bury, RetryAfter } from "./failure.ts"
import { JobHandle } from "./jobHandle.ts"
import type { Lease } from "./lease.ts"

/** Ends reservations. Each method fails if the reservation was lost, or ended already. */
export interface Settler {
  /** Has the job deleted, and does not wait for the server. */
  complete(lease: Lease): Effect.Effect<void, LeaseLost>
  delete(lease: Lease): Effect.Effect<void, LeaseLost>
  /** Does what a worker does when a handler fails with this. */
  settleAs(lease: Lease, order: Bury | RetryAfter): Effect.Effect<void, LeaseLost>
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
    return this.#settler.settleAs(this.#lease, new Bury())
  }

  release(options?: { readonly delay?: Duration.DurationInput | undefined }) {
    return this.#settler.settleAs(this.#lease, new RetryAfter({ delay: options?.delay ?? "1 second" }))
  }

  override toJSON() {
    const { id, tube } = this
    return { _id: "effect-beanstalk/Worker/Reservation", id, tube }
  }
}
