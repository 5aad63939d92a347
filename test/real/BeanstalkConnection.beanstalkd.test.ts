/** A connection to a real beanstalkd: its binlog, and replies that arrive while the event loop of the client is blocked. */
import { assert, it } from "@effect/vitest"
import { BeanstalkError, type Job } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { mkdirSync, rmSync } from "node:fs"
import { startBeanstalkd, temporaryFolder } from "../support/beanstalkd.ts"
import { eventually, failsWith, openTo } from "../support/connections.ts"
import { describeReal } from "../support/real.ts"

describeReal("a connection to a real beanstalkd", () => {
  it.scopedLive("finds what was acknowledged before a kill -9 after a restart with the same binlog", () =>
    Effect.gen(function*() {
      const args = ["-b", yield* temporaryFolder]
      const server = yield* startBeanstalkd({ args })
      const beanstalk = yield* openTo(server)
      const acknowledged = new Map<Job.JobId, string>()
      const put = (body: string) => Effect.map(beanstalk.put(body), (id) => acknowledged.set(id, body))
      const bodies = Array.from({ length: 1000 }, (_, i) => `job ${i}`)
      const putting = yield* Effect.fork(
        Effect.forEach(bodies, (body) => Effect.exit(put(body)), { concurrency: 10 })
      )
      yield* eventually(Effect.sync(() => acknowledged.size), (size) => size >= 100)
      yield* server.signal("SIGKILL")
      yield* Fiber.join(putting)
      yield* server.ended
      const restarted = yield* openTo(yield* startBeanstalkd({ args }))
      for (const [id, body] of acknowledged) {
        assert.strictEqual(yield* (yield* restarted.peek(id)).text(), body)
      }
      const { currentJobsReady } = yield* restarted.stats
      assert.isAtLeast(currentJobsReady, acknowledged.size)
      assert.isAtMost(currentJobsReady, bodies.length)
    }))

  it.scopedLive("fails put and release with OutOfMemory, and bury with InternalError, if the binlog is full", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* startBeanstalkd({ args: ["-b", folder, "-s", "4096"] })
      const beanstalk = yield* openTo(server)
      const [buried, released] = [yield* beanstalk.put("one"), yield* beanstalk.put("two")]
      yield* beanstalk.reserve
      yield* beanstalk.reserve
      // Without its folder the server cannot create the next binlog file once this one is full.
      rmSync(folder, { recursive: true })
      const fill = (size: number) => failsWith(Effect.forever(beanstalk.put(new Uint8Array(size))), "OutOfMemory")
      const error = yield* Effect.zipRight(fill(1000), fill(0))
      assert.strictEqual(error.command, "put")
      yield* failsWith(beanstalk.bury(buried, 0), "InternalError")
      yield* failsWith(beanstalk.release(released, { priority: 0, delay: "1 second" }), "OutOfMemory")
      mkdirSync(folder)
      yield* beanstalk.put("there is room again")
    }))

  it.scopedLive("has InternalError as a server error that is not retryable", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const beanstalk = yield* openTo(yield* startBeanstalkd({ args: ["-b", folder, "-s", "4096"] }))
      yield* beanstalk.put("message")
      const { id } = yield* beanstalk.reserve
      rmSync(folder, { recursive: true })
      const fill = (size: number) => failsWith(Effect.forever(beanstalk.put(new Uint8Array(size))), "OutOfMemory")
      yield* Effect.zipRight(fill(1000), fill(0))
      const error = yield* failsWith(beanstalk.bury(id, 0), "InternalError")
      assert.isTrue(BeanstalkError.isServerError(error))
      assert.isFalse(BeanstalkError.isRetryable(error))
    }))

  it.scopedLive("takes replies that arrived while the event loop was blocked for longer than the reply timeout", () =>
    Effect.gen(function*() {
      const beanstalk = yield* openTo(yield* startBeanstalkd(), { replyTimeout: "1 second" })
      const putting = yield* Effect.fork(beanstalk.put("x"))
      // Only microtasks run here: the put is written, and its reply cannot be read yet.
      yield* Effect.replicateEffect(Effect.yieldNow(), 20, { discard: true })
      yield* Effect.sync(() => {
        const until = performance.now() + 2000
        while (performance.now() < until);
      })
      yield* Fiber.join(putting)
      yield* beanstalk.listTubeUsed
    }))
})
