/** A connection for a block of the program: its jobs go back to the server when the block ends, however it ends. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"

const fetchOne = Effect.scoped(Effect.gen(function*() {
  const beanstalk = yield* BeanstalkConnection.make({ name: "fetcher", watch: ["URLs-to-fetch"] })
  const job = yield* beanstalk.reserveWithTimeout("1 second")
  yield* Console.log(`fetching ${yield* job.text()}`)
  yield* beanstalk.delete(job.id)
}))

const program = fetchOne.pipe(
  Effect.catchTags({
    TimedOut: () => Console.log("nothing to do"),
    // The time to run of a job that this connection has reserved is almost over. Touch or settle it, and reserve again.
    DeadlineSoon: () => Console.log("finish what you have first"),
    JobNotFound: (error) => Console.log(`too late: ${error.message}`)
  })
)

NodeRuntime.runMain(Effect.provide(program, NodeConnector.layerEnv))
