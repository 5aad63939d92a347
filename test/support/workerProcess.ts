/**
 * A process that works on one job of the server at a port, shuts its worker down, says what it still holds, and is not ended
 * by anybody.
 */
import { Tube, Worker } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

const [port, handler] = process.argv.slice(2)

const tube = Tube.text("work", { ttr: "9 seconds" })

/** They are opened when they are first looked at, which is to be before anything is counted. */
const [stdout] = [process.stdout, process.stderr]

/** What was closed is gone behind some turns of the event loop, and so is what the program was read with. */
const held = Effect.repeatN(Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void))), 10).pipe(
  Effect.map(() => process.getActiveResourcesInfo().toSorted())
)

/** Neither a timer nor a socket of its own: nothing but itself. */
const endless = Effect.async<never>(() => {})

const program = Effect.gen(function*() {
  const before = yield* held
  const report = yield* Effect.gen(function*() {
    const started = yield* Deferred.make<void>()
    const work = handler === "uninterruptible" ? Effect.uninterruptible(endless) : endless
    const worker = yield* Worker.make(tube, () => Effect.zipRight(Deferred.succeed(started, undefined), work), {
      shutdownTimeout: "400 millis",
      concurrency: 3
    })
    yield* tube.put("a job")
    yield* Deferred.await(started)
    return yield* worker.shutdown
  }).pipe(Effect.scoped, Effect.provide(NodeBeanstalk.layerClient({ host: "127.0.0.1", port: Number(port) })))
  const { disowned, interrupted } = report
  stdout.write(JSON.stringify({ before, after: yield* held, interrupted, disowned }))
})

Effect.runFork(program)
