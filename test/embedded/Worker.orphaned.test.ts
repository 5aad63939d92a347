/** A handler that a shutdown abandons. */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkError, Tube, Worker } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { inVirtualTime } from "../support/workers.ts"

describe("a handler that a shutdown abandons", () => {
  it.live("is reported, and its job.leaseLost fails", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const lost = yield* Deferred.make<BeanstalkError.LeaseLost>()
      const tube = Tube.text("work")
      const worker = yield* Worker.make(tube, (_, job) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.zipRight(job.leaseLost),
          Effect.catchAll((error) => Effect.zipRight(Deferred.succeed(lost, error), Effect.never)),
          Effect.uninterruptible
        ), { shutdownTimeout: 0 })
      const id = yield* tube.put("hello")
      yield* Deferred.await(begun)
      const { orphaned } = yield* worker.shutdown
      assert.deepStrictEqual(orphaned, [id])
      assert.strictEqual((yield* Deferred.await(lost)).id, id)
      const { outcomes } = yield* worker.stats
      assert.deepStrictEqual([outcomes.Interrupted, outcomes.LeaseLost], [1, 0])
    }).pipe(inVirtualTime))

  it.live("is reported by the Interrupted event of its job", () =>
    Effect.gen(function*() {
      const tube = Tube.text("for-ever")
      const started = yield* Deferred.make<void>()
      const id = yield* tube.put("job")
      const worker = yield* Worker.make(
        tube,
        () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.uninterruptible(Effect.never))
      )
      const collecting = yield* Effect.fork(Stream.runCollect(worker.events))
      yield* Deferred.await(started)
      const { drained, interrupted, orphaned } = yield* worker.shutdown
      assert.deepStrictEqual({ drained, interrupted, orphaned }, { orphaned: [id], drained: 0, interrupted: [] })
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(yield* collecting).map((event) =>
          event._tag === "Interrupted" ? event.orphaned : event._tag
        ),
        [true, "ShutdownReport"]
      )
    }).pipe(inVirtualTime))
})
