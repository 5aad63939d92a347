/** A tube that knows what its jobs are, over a client that heals by itself. */
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
    // Where, and what was expected there: never what is there.
    PayloadError: (error) => Console.error(error.message),
    // It may be in the queue, or not. It was not sent twice, and whether it should be is for you to say.
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
