/** A lease as the handler sees it. */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type { JobStats } from "../../Stats.ts"
import { historyOf } from "./decision.ts"
import type { Lease } from "./lease.ts"

export class JobHandle extends Inspectable.Class {
  readonly #lease: Lease

  constructor(lease: Lease) {
    super()
    this.#lease = lease
  }

  get id() {
    return this.#lease.id
  }

  get tube() {
    return this.#lease.tube
  }

  get stats() {
    return Effect.map(this.#lease.stats, runStats)
  }

  get touch() {
    return this.#lease.touch
  }

  get leaseLost() {
    return this.#lease.whenLost
  }

  override toJSON() {
    const { id, tube } = this
    return { _id: "effect-beanstalk/Worker/Job", id, tube }
  }
}

/** See `Worker.RunStats`. */
export const runStats = (job: JobStats) => ({ ...historyOf(job), age: job.age, priority: job.pri, ttr: job.ttr, job })
