/** A handler that a shutdown leaves behind. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, type BeanstalkError, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

describe("a handler that a shutdown leaves behind", () => {
  it.live("is told of, and is told that its job is not its own any more", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const told = yield* Deferred.make<BeanstalkError.LeaseLost>()
      const tube = Tube.text("work")
      const worker = yield* Worker.make(tube, (_, job) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.zipRight(job.leaseLost),
          Effect.catchAll((lost) => Effect.zipRight(Deferred.succeed(told, lost), Effect.never)),
          Effect.uninterruptible
        ), { shutdownTimeout: 0 })
      const id = yield* tube.put("hello")
      yield* Deferred.await(begun)
      const { disowned } = yield* worker.shutdown
      assert.deepStrictEqual(disowned, [id])
      assert.strictEqual((yield* Deferred.await(told)).id, id)
      const { outcomes } = yield* worker.stats
      assert.deepStrictEqual([outcomes.Interrupted, outcomes.LeaseLost], [1, 0])
    }).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer()),
      Effect.provide(EmbeddedServer.layer()),
      Effect.provide(VirtualClock.layer())
    ), { timeout: 5000 })
})
