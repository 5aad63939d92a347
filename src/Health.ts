/**
 * How a client or a worker does, for the probes of an orchestrator. The server is not asked.
 *
 * **Example** (a worker that is replaced when it has failed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Health, type Worker } from "effect-beanstalk"
 *
 * const isAlive = (worker: Worker.Worker) =>
 *   Effect.map(worker.health(), (health) => !Health.is("Failed")(health))
 * ```
 *
 * @module
 * @since 0.1.0
 */

import * as Data from "effect/Data"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"

/**
 * How a client or a worker does.
 *
 * - `Healthy`: nothing is known to be wrong.
 * - `Degraded`: since then it cannot do its work, because there is no connection, or because it is being shut down. A restart of the
 *   program does not help.
 * - `Failed`: it is closed, or the event loop of the program was blocked for so long that a restart may help.
 *
 * @category models
 * @since 0.1.0
 */
export type Health = Data.TaggedEnum<{
  Healthy: {}
  Degraded: { readonly since: DateTime.Utc; readonly reason: string }
  Failed: { readonly reason: string }
}>

const definition = Data.taggedEnum<Health>()

/**
 * @category constructors
 * @since 0.1.0
 */
export const Healthy = definition.Healthy

/**
 * @category constructors
 * @since 0.1.0
 */
export const Degraded = definition.Degraded

/**
 * @category constructors
 * @since 0.1.0
 */
export const Failed = definition.Failed

/**
 * Whether a health has this tag.
 *
 * @category refinements
 * @since 0.1.0
 */
export const is = definition.$is

/**
 * Handles a health by its tag.
 *
 * **Example** (a line for a person)
 *
 * ```ts
 * import { DateTime } from "effect"
 * import { Health } from "effect-beanstalk"
 *
 * const line = Health.match({
 *   Healthy: () => "healthy",
 *   Degraded: ({ reason, since }) => `degraded since ${DateTime.formatIso(since)}: ${reason}`,
 *   Failed: ({ reason }) => `failed: ${reason}`
 * })
 * ```
 *
 * @category pattern matching
 * @since 0.1.0
 */
export const match = definition.$match

/**
 * From when on something is wrong.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** How long there may be no connection, after there was one. Default: 30 seconds. */
  readonly grace?: Duration.DurationInput | undefined
  /**
   * For how long the event loop may be blocked. A longer time is `Failed`, for as long again as it was blocked. It is measured once a
   * second, from the first question on. Default: 30 seconds.
   */
  readonly lateness?: Duration.DurationInput | undefined
}

/**
 * The worst of several: the first that is `Failed`, or else `Degraded`, or else `Healthy`, also if there are none.
 *
 * **Example** (the health of a program with two workers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Health, type Worker } from "effect-beanstalk"
 *
 * const health = (mails: Worker.Worker, audit: Worker.Worker) =>
 *   Effect.map(Effect.all([mails.health(), audit.health()]), Health.worst)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const worst = (healths: Iterable<Health>): Health => {
  const all = Array.from(healths)
  return all.find(is("Failed")) ?? all.find(is("Degraded")) ?? Healthy()
}
