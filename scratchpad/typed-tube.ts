/** A tube with a Schema for its jobs, and a client that reconnects by itself. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Option, Schema } from "effect"
import { BeanstalkClient, Tube } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"

const FetchUrl = Tube.make("URLs-to-fetch", {
  payload: Schema.Struct({ url: Schema.String, after: Schema.optional(Schema.Date) }),
  ttr: "3 minutes"
})

const program = Effect.gen(function*() {
  const id = yield* FetchUrl.put({ url: "http://example.org/" }, { priority: 100 })
  yield* Console.log(`put job ${id}`)

  const next = yield* FetchUrl.peekReady
  yield* Console.log(Option.match(next, { onNone: () => "nothing", onSome: ({ payload }) => `next is ${payload.url}` }))
}).pipe(
  Effect.catchTags({
    // The message has the path and the expected type, but no values.
    PayloadError: (error) => Console.error(error.message),
    // The job may be in the queue, or not. The client does not send it a second time: that is up to you.
    ConnectionLost: (error) => Console.error(error.message),
    // No connection for ten seconds: nothing was put.
    ConnectFailed: (error) => Console.error(error.message)
  })
)

const main = Effect.gen(function*() {
  const client = yield* BeanstalkClient.BeanstalkClient
  const { version } = yield* client.ready
  yield* Console.log(`beanstalkd ${version}`)
  yield* program
  const { ready } = yield* FetchUrl.purge()
  yield* Console.log(`purged ${ready}`)
})

NodeRuntime.runMain(Effect.provide(main, NodeBeanstalk.layerClientEnv))
