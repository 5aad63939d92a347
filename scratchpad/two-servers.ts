/**
 * Two beanstalkds in one program: each job is put into the first, or into the second if the first cannot take it.
 *
 * A service for each server, made from the same Layer with another Connector. `Layer.fresh` is not needed: they are not
 * built from the same reference.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import { BeanstalkClient, BeanstalkError } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"

class Primary extends Context.Tag("example/Primary")<Primary, BeanstalkClient.Client>() {}

class Secondary extends Context.Tag("example/Secondary")<Secondary, BeanstalkClient.Client>() {}

/** The timeout is short, since there is another server. */
const clientOf = (url: string) =>
  Effect.provide(BeanstalkClient.make({ offlineTimeout: "3 seconds" }), NodeConnector.layerUrl(url))

const servers = (primary: string, secondary: string) =>
  Layer.merge(Layer.scoped(Primary, clientOf(primary)), Layer.scoped(Secondary, clientOf(secondary)))

/**
 * A job is put into the second server only if it was certainly not put into the first: `isRetryable` is true if that cannot be
 * reached, is draining, or has no memory, and false if the connection was lost during the put.
 */
const put = (tube: string, body: string) =>
  Effect.gen(function*() {
    const primary = yield* Primary
    const secondary = yield* Secondary
    return yield* primary.put(tube, body).pipe(
      Effect.map((id) => ({ id, server: primary.address })),
      Effect.catchIf(BeanstalkError.isRetryable, (error) =>
        Console.log(`${error._tag}: turning to ${secondary.address}`).pipe(
          Effect.zipRight(secondary.put(tube, body)),
          Effect.map((id) => ({ id, server: secondary.address }))
        ))
    )
  })

const [primary = "beanstalk://localhost:11300", secondary = "beanstalk://localhost:11301"] = process.argv.slice(2)

const main = Effect.gen(function*() {
  const { id, server } = yield* put("work", "hello")
  yield* Console.log(`put job ${id} at ${server}`)
}).pipe(Effect.provide(servers(primary, secondary)))

NodeRuntime.runMain(main)
