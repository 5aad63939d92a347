/** Errors are values with tags: the conditions of cl-beanstalk are caught with `catchTag`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Schedule } from "effect"
import { BeanstalkConnection, BeanstalkError } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"

const program = Effect.gen(function*() {
  const beanstalk = yield* BeanstalkConnection.BeanstalkConnection

  // Sent again where that can succeed and cannot do harm: here, if the server is out of memory or draining.
  const id = yield* beanstalk.put("hello", { tube: "greetings" }).pipe(
    Effect.retry({ while: BeanstalkError.isRetryable, schedule: Schedule.exponential("100 millis"), times: 5 })
  )

  // As a boolean: true if the job was deleted, false if there was none. Every other error stays an error.
  const deleted = yield* beanstalk.delete(id).pipe(
    Effect.as(true),
    Effect.catchTag("JobNotFound", () => Effect.succeed(false))
  )
  yield* Console.log(`deleted: ${deleted}`)

  // An invalid argument is not sent to the server.
  const refused = yield* Effect.flip(beanstalk.put("hello", { tube: "two words" }))
  yield* Console.log(refused.message)
})

NodeRuntime.runMain(Effect.provide(program, NodeBeanstalk.layerConnectionEnv))
