/** The Scope of a handler. */
import { assert, describe, it } from "@effect/vitest"
import { Tube, Worker } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { inVirtualTime } from "../support/workers.ts"

describe("the Scope of a handler", () => {
  it.live("interrupts the fibers that the handler forks into it", () =>
    Effect.gen(function*() {
      const tube = Tube.text("work")
      const worker = yield* Worker.make(tube, () => Effect.forkScoped(Effect.never))
      const first = yield* Effect.fork(Stream.runHead(worker.events))
      yield* Effect.yieldNow()
      yield* tube.put("hello")
      const event = yield* Effect.flatten(first)
      assert.strictEqual(event._tag, "Completed", String(event._tag === "Buried" ? event.cause : ""))
    }).pipe(inVirtualTime))
})
