/** Producers that put until they are stopped, and record the outcome of each put. */
import { type BeanstalkClient, BeanstalkError } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { openTo } from "./connections.ts"
import type { Server } from "./server.ts"

/** The outcome of the puts of each key. */
export class Ledger {
  readonly acknowledged = new Set<string>()
  /** The number of puts of a key with an unknown outcome. */
  readonly unknown = new Map<string, number>()

  /** The largest number of jobs that the server can have of a key. */
  most(key: string): number {
    return (this.unknown.get(key) ?? 0) + (this.acknowledged.has(key) ? 1 : 0)
  }

  get unknownOutcomes(): number {
    return [...this.unknown.values()].reduce((sum, count) => sum + count, 0)
  }
}

const isUnknown = (error: BeanstalkError.PutError | BeanstalkError.ConnectFailed) =>
  error._tag === "ConnectionLost" && error.outcome === "Unknown"

/** Puts a key until it is acknowledged, also again after an unknown outcome, which the ledger counts. */
const putUntilAcknowledged = (client: BeanstalkClient.Client, tube: string, ledger: Ledger, key: string) =>
  client.put(tube, key, { ttr: "2 seconds" }).pipe(
    Effect.tapError((error) =>
      Effect.sync(() => {
        if (isUnknown(error)) ledger.unknown.set(key, (ledger.unknown.get(key) ?? 0) + 1)
      })
    ),
    Effect.retry({
      while: (error) => isUnknown(error) || BeanstalkError.isRetryable(error),
      schedule: Schedule.spaced("1 millis")
    }),
    Effect.map(() => void ledger.acknowledged.add(key)),
    Effect.orDie
  )

/** Starts producers, each of which puts one job after the other. */
export const produce = (
  client: BeanstalkClient.Client,
  { fibers, tube }: { readonly fibers: number; readonly tube: string }
): Effect.Effect<{ readonly ledger: Ledger; readonly stop: Effect.Effect<void> }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const ledger = new Ledger()
    let stopped = false
    const producer = (name: number) => {
      let count = 0
      return Effect.whileLoop({
        while: () => !stopped,
        body: () => putUntilAcknowledged(client, tube, ledger, `${name}/${count += 1}`),
        step: () => {}
      })
    }
    const producers = yield* Effect.forkScoped(
      Effect.all(Array.from({ length: fibers }, (_, name) => producer(name)), { concurrency: "unbounded" })
    )
    const stop = Effect.suspend(() => {
      stopped = true
      return Fiber.join(producers)
    })
    return { ledger, stop: Effect.asVoid(stop) }
  })

/** Deletes the ready jobs of a tube, and returns their keys. */
export const drain = (server: Pick<Server, "connector">, tube: string) =>
  Effect.gen(function*() {
    const beanstalk = yield* openTo(server, { watch: [tube] })
    const keys: Array<string> = []
    const take = Effect.gen(function*() {
      const job = yield* beanstalk.reserveWithTimeout(0)
      keys.push(yield* job.text())
      yield* beanstalk.delete(job.id)
    })
    const all = Effect.catchTag(Effect.forever(take), "TimedOut", () => Effect.void)
    yield* Effect.replicateEffect(all, 256, { concurrency: "unbounded", discard: true })
    return keys
  }).pipe(Effect.scoped)

/** The number of times that each key occurs. */
export const tally = (keys: Iterable<string>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}
