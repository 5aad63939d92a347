/** The counters of a job continue when its worker is replaced by another, also in another process, and when its server is. */
import { assert, it } from "@effect/vitest"
import { BeanstalkClient, type BeanstalkError, type EmbeddedServer, type Job, Tube, Worker } from "effect-beanstalk"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { text } from "node:stream/consumers"
import { bundle } from "../support/bundled.ts"
import { clientTo } from "../support/clients.ts"
import { openTo } from "../support/connections.ts"
import { fiveSteps } from "../support/fiveSteps.ts"
import { describeReal } from "../support/real.ts"
import { startRestartable } from "../support/restartable.ts"
import type { Target } from "../support/server.ts"
import { inVirtualTime, journalEntries, onServer, start } from "../support/workers.ts"

class Refused extends Data.TaggedError("Refused") {}

const tube = Tube.text("work", { ttr: "1 minute" })

const startOne = start(tube, () => new Refused(), { retry: fiveSteps })

/** A worker, with a client of its own, that is shut down after its first run. */
const oneRun = Effect.gen(function*() {
  const { event, worker } = yield* startOne
  const retried = yield* event("Retried")
  yield* worker.quiet
  return retried
}).pipe(Effect.scoped, Effect.provide(Layer.fresh(BeanstalkClient.layer())))

/** The delays of a job in seconds, if its worker is replaced after each of the first `replaced` runs. */
const delaysIf = (replaced: number) =>
  inVirtualTime(Effect.gen(function*() {
    const id = yield* tube.put("a")
    for (let run = 1; run <= replaced; run += 1) yield* oneRun
    const { event } = yield* startOne
    assert.strictEqual((yield* event("Buried")).attempt, 6)
    return yield* delaysOf(id)
  }))

/** The seconds from each release of a job until it was ready again. */
const delaysOf = (id: Job.JobId) =>
  Effect.map(journalEntries(id), (entries) => {
    const at = (tag: EmbeddedServer.JobEvent) => entries.filter(({ event }) => event === tag).map(({ at }) => at)
    const due = at("due")
    return at("released").map((released, run) => ((due[run] ?? Number.NaN) - released) / 1000)
  })

it.live.each([1, 2, 3, 4, 5])(
  "rule 18: the delays of a job are the same when its worker is replaced after %i runs",
  (replaced) =>
    Effect.gen(function*() {
      const expected = yield* delaysIf(0)
      assert.strictEqual(expected.length, 5)
      expected.forEach((delay, run) => {
        assert.isAtLeast(delay, 80 * 2 ** run)
        assert.isAtMost(delay, 120 * 2 ** run)
      })
      assert.deepStrictEqual(yield* delaysIf(replaced), expected)
    })
)

/** The delay in seconds that a worker in another process gives to its job. */
const delayOfProcess = (target: Target) =>
  Effect.flatMap(bundle("test/fixtures/attempt.ts"), (attempt) =>
    Effect.promise(() => {
      const port = "port" in target ? `${target.port}` : ""
      const child = spawn(process.execPath, [attempt, port, tube.name], { stdio: ["ignore", "pipe", "inherit"] })
      return text(child.stdout)
    })).pipe(Effect.map(Number))

describeReal(
  "rule 18: a job that was retried by another process, and whose server was killed and started again",
  () => {
    it.scopedLive("rule 18: continues with the next attempt and its delay", () =>
      Effect.gen(function*() {
        const expected = yield* delaysIf(0)
        const server = yield* startRestartable
        const put = Effect.flatMap(openTo(server, { tube: tube.name }), (producer) => producer.put("a"))
        // Ids begin with 1 in every server, and they are the seed of the jitter.
        const id = yield* Effect.scoped(put)
        assert.strictEqual(yield* delayOfProcess(server.target), expected[0])
        yield* server.kill
        yield* server.revive
        const client = yield* clientTo(server)
        assert.deepInclude(yield* client.statsJob(id), { state: "delayed", releases: 1, reserves: 1 })
        yield* client.kickJob(id)
        const retried = yield* Effect.provide(oneRun, server.connector)
        assert.deepInclude(retried, { id, attempt: 2 })
        assert.strictEqual(Duration.toSeconds(retried.delay), expected[1])
      }))
  }
)

describeReal("rule 3: a job that stayed buried while its server was killed and started again, twice", () => {
  it.scopedLive("rule 3: has as many disconnects as connections were lost while it was reserved", () =>
    Effect.gen(function*() {
      const server = yield* startRestartable
      const client = yield* clientTo(server)
      const reserving = openTo(server, { watch: [tube.name] })
      const bury = Effect.tap(
        reserving,
        (lease) => Effect.flatMap(lease.reserve, ({ id }) => lease.bury(id, 0))
      )
      const id = yield* client.put(tube.name, "a", { ttr: "1 minute" })
      yield* Effect.scoped(bury)
      for (let restart = 1; restart <= 2; restart += 1) {
        yield* server.kill
        yield* server.revive
      }
      assert.deepInclude(yield* client.statsJob(id), { state: "buried", reserves: 1, kicks: 0 })
      yield* client.kickJob(id)
      yield* Effect.scoped(Effect.flatMap(reserving, (lease) => lease.reserve))
      const history = yield* Effect.scoped(Effect.gen(function*() {
        const seen = yield* Deferred.make<Worker.RunStats, BeanstalkError.LeaseLost | BeanstalkError.ServerError>()
        yield* Worker.make(tube, (_, job) => Effect.intoDeferred(job.stats, seen))
        return yield* Deferred.await(seen)
      })).pipe(onServer(server))
      assert.isAbove(history.job.buries, 1)
      assert.deepInclude(history, { attempt: 1, failures: 0, disconnects: 1 })
    }))
})
