/** One turn of the event loop, as an Effect. */
import { Effect } from "effect"

export const turnOfEventLoop: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})
