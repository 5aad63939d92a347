/** A lease as the handler sees it. */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import type { JobStats } from "../../Stats.ts"
import { pastOf } from "./decision.ts"
import type { Lease } from "./lease.ts"

export class RunningJob extends Inspectable.Class {
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
    return Effect.map(this.#lease.asked, runStats)
  }

  get touch() {
    return this.#lease.touched
  }

  get leaseLost() {
    return this.#lease.whenLost
  }

  override toJSON() {
    const { id, tube } = this
    return { _id: "effect-beanstalk/Worker/Job", id, tube }
  }
}

/** What the server says of it, in the words of workers. */
export const runStats = (job: JobStats) => ({ ...pastOf(job), age: job.age, priority: job.pri, ttr: job.ttr, job })
