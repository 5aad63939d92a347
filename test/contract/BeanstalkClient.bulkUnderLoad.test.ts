/**
 * `client.purge` and `client.move` while workers of both tubes release, bury and delete jobs, and a producer puts more. No job
 * is lost, and no worker reserves a job that was delayed or buried.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs it with 100,000 ready, 10,000 delayed and 10,000 buried jobs.
 */
import { assert, describe, it } from "@effect/vitest"
import type { BeanstalkConnection } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { everyJob, putJobs, start, type State, states, type Wanted } from "../support/bulk.ts"
import { openTo } from "../support/connections.ts"
import { amount } from "../support/edition.ts"
import { chars } from "../support/replies.ts"
import { describeClients } from "../support/servers.ts"

const counts = {
  ready: amount(300, 800, 100_000),
  delayed: amount(30, 80, 10_000),
  buried: amount(30, 80, 10_000)
}

const jobsOf = (state: State): ReadonlyArray<Wanted> =>
  Array.from({ length: counts[state] }, (_, index) => ({ tube: "here", state, body: `${state}-${index}`, ttr: 3600 }))

const all = states.flatMap(jobsOf)

/** The jobs that the workers have reserved. */
class History {
  /** The keys of finished jobs, each as often as it was finished. */
  readonly finished: Array<string> = []
  /** The keys of jobs that were reserved although they were not ready. */
  readonly untimely: Array<string> = []
  handed = 0
  private readonly aside = new Set<string>()

  hand(key: string): void {
    this.handed += 1
    if (this.aside.has(key) || key.startsWith("delayed") || key.startsWith("buried")) this.untimely.push(key)
  }

  putAside(key: string): void {
    this.aside.add(key)
  }

  finish(key: string): void {
    this.finished.push(key)
  }
}

/** Reserves one job, if one is ready, and releases, buries or deletes it in turn. */
const work = (worker: BeanstalkConnection.Connection, history: History, { onlyFinishes }: { onlyFinishes: boolean }) =>
  Effect.gen(function*() {
    const job = yield* worker.reserveWithTimeout(0)
    const key = chars(job.body)
    history.hand(key)
    const turn = onlyFinishes ? 2 : history.handed % 3
    if (turn === 0) return yield* worker.release(job.id, { priority: 7 })
    if (turn === 1) {
      history.putAside(key)
      return yield* worker.bury(job.id, 7)
    }
    history.finish(key)
    yield* worker.delete(job.id)
  }).pipe(Effect.catchTag("TimedOut", () => Effect.void))

/** Repeats an Effect while the bulk operation runs, and lets the last repetition end. */
const beside = <A, E, R, E2, R2>(bulk: Effect.Effect<A, E, R>, turn: Effect.Effect<unknown, E2, R2>) =>
  Effect.gen(function*() {
    let over = false
    const turns = yield* Effect.fork(Effect.repeat(turn, { until: () => over }))
    const result = yield* bulk
    over = true
    yield* Fiber.join(turns)
    return result
  })

const keysOf = (jobs: ReadonlyArray<{ readonly body: string }>) => jobs.map(({ body }) => body)

describeClients("while workers and a producer use the tubes", (kind) => {
  const prepared = Effect.gen(function*() {
    const world = yield* start(kind)
    yield* putJobs(world.beanstalk, all)
    const source = yield* openTo(world.server, { watch: ["here"] })
    const target = yield* openTo(world.server, { watch: ["target"] })
    return { ...world, source, target, history: new History() }
  })

  describe("purge", () => {
    it.scopedLive(
      "accounts for every job, and no worker reserves a job that is not ready",
      () =>
        Effect.gen(function*() {
          const { beanstalk, client, history, source } = yield* prepared
          const done = yield* beside(client.purge("here"), work(source, history, { onlyFinishes: false }))
          const rest = yield* everyJob(beanstalk)
          assert.isAbove(history.handed, 0)
          assert.deepStrictEqual(history.untimely, [])
          assert.strictEqual(
            done.ready + done.delayed + done.buried + history.finished.length + rest.length,
            all.length
          )
          assert.strictEqual(done.delayed, counts.delayed)
          assert.isAtLeast(done.buried, counts.buried)
        }),
      300_000
    )
  })

  describe("move", () => {
    it.scopedLive(
      "loses no job, and no worker reserves a job that is not ready",
      () =>
        Effect.gen(function*() {
          const { beanstalk, client, history, source, target } = yield* prepared
          const later = new History()
          const done = yield* client.move("here", "target").pipe(
            (moving) => beside(moving, work(source, history, { onlyFinishes: false })),
            (moving) => beside(moving, work(target, later, { onlyFinishes: true }))
          )
          const found = keysOf(yield* everyJob(beanstalk))
          assert.isAbove(history.handed, 0)
          assert.isAbove(later.handed, 0)
          assert.deepStrictEqual([history.untimely, later.untimely], [[], []])
          // Without faults, every job is in exactly one tube.
          const keys = [...found, ...history.finished, ...later.finished]
          assert.deepStrictEqual(keys.toSorted(), keysOf(all.map(({ body }) => ({ body: `${body}` }))).toSorted())
          assert.strictEqual(done.delayed, counts.delayed)
          assert.isAtLeast(done.buried, counts.buried)
        }),
      300_000
    )
  })
})
