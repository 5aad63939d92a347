/** A handler that cannot be interrupted. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

describe("a handler that does not end", () => {
  it.effect("is told to have been left behind by the shutdown", () =>
    Effect.gen(function*() {
      const tube = Tube.text("for-ever")
      const started = yield* Deferred.make<void>()
      const id = yield* tube.put("job")
      const worker = yield* Worker.make(
        tube,
        () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.uninterruptible(Effect.never))
      )
      const told = yield* Effect.fork(Stream.runCollect(worker.events))
      yield* Deferred.await(started)
      const { disowned, drained, interrupted } = yield* worker.shutdown
      assert.deepStrictEqual({ disowned, drained, interrupted }, { disowned: [id], drained: 0, interrupted: [] })
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(yield* told).map((event) => event._tag === "Interrupted" ? event.disowned : event._tag),
        [true, "ShutdownReport"]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer()),
      Effect.provide(EmbeddedServer.layer()),
      Effect.provide(VirtualClock.layer())
    ))
})
