/** One connection for the whole program, as a Layer. Run with BEANSTALKD_URL=beanstalk://localhost:11300. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"

const program = Effect.gen(function*() {
  const beanstalk = yield* BeanstalkConnection.BeanstalkConnection
  yield* beanstalk.use("URLs-to-fetch")
  return yield* beanstalk.put("http://example.org/", { priority: 100, ttr: "180 seconds" })
}).pipe(
  // The job exists, but the server had no memory to make it ready: continue with its id.
  Effect.catchTag("Buried", (buried) => Effect.succeed(buried.id)),
  Effect.catchTags({
    JobTooBig: (error) => Effect.dieMessage(`${error.size} bytes is more than ${error.limit}`),
    Draining: () => Effect.dieMessage("the server is about to stop: put the job elsewhere")
  }),
  Effect.tap((id) => Console.log(`put job ${id}`))
)

NodeRuntime.runMain(Effect.provide(program, NodeBeanstalk.layerConnectionEnv))
