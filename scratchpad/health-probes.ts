/**
 * A worker with the probes of Kubernetes: `GET /livez` is 503 when a restart helps, `GET /readyz` also while there is no connection and
 * during a shutdown.
 *
 *     npx tsx scratchpad/health-probes.ts                            on a beanstalkd in its own process
 *     BEANSTALKD_URL=beanstalk://host:11300 PORT=8080 npx tsx scratchpad/health-probes.ts
 *     curl -i localhost:8080/readyz
 */
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, HttpServer } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Context, Effect, Layer, Ref, Schema } from "effect"
import { BeanstalkClient, EmbeddedServer, Health, Tube, Worker } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import { createServer } from "node:http"

const Mails = Tube.text("mails")

/** What the probes ask. The web server starts before the workers and outlives them, so that it answers while they shut down. */
class Subjects extends Context.Tag("Subjects")<Subjects, Ref.Ref<ReadonlyArray<Effect.Effect<Health.Health>>>>() {}

const health = Effect.gen(function*() {
  const subjects = yield* Ref.get(yield* Subjects)
  // Before its workers are started a program is alive, and not ready.
  return subjects.length === 0 ? undefined : Health.worst(yield* Effect.all(subjects))
})

class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  { reason: Schema.String },
  HttpApiSchema.annotations({ status: 503 })
) {}

const Api = HttpApi.make("probes").add(
  HttpApiGroup.make("health")
    .add(HttpApiEndpoint.get("live", "/livez").addSuccess(Schema.String).addError(Unavailable))
    .add(HttpApiEndpoint.get("ready", "/readyz").addSuccess(Schema.String).addError(Unavailable))
)

const handlers = HttpApiBuilder.group(Api, "health", (group) =>
  group
    // An outage of beanstalkd must not restart every pod: only what has failed is restarted.
    .handle("live", () =>
      Effect.flatMap(health, (found) =>
        found?._tag === "Failed" ? new Unavailable({ reason: found.reason }) : Effect.succeed("alive")))
    .handle("ready", () =>
      Effect.flatMap(health, (found) => {
        if (found === undefined) {
          return new Unavailable({ reason: "the workers are not started yet" })
        }
        return found._tag === "Healthy" ? Effect.succeed("ready") : new Unavailable({ reason: found.reason })
      })))

// The probes of Kubernetes come to the address of the pod.
const httpServer = Layer.unwrapEffect(
  Effect.map(
    Config.all({
      host: Config.withDefault(Config.string("HOST"), "0.0.0.0"),
      port: Config.withDefault(Config.integer("PORT"), 8080)
    }),
    (address) => NodeHttpServer.layer(createServer, address)
  )
)

const probes = HttpApiBuilder.serve().pipe(
  HttpServer.withLogAddress,
  Layer.provide(HttpApiBuilder.api(Api)),
  Layer.provide(handlers),
  Layer.provide(httpServer)
)

const sendMail = (mail: string) => Effect.zipRight(Console.log(`sends ${mail}`), Effect.sleep("10 seconds"))

const workers = Layer.scopedDiscard(Effect.gen(function*() {
  const worker = yield* Worker.make(Mails, sendMail, { concurrency: 4 })
  const client = yield* BeanstalkClient.BeanstalkClient
  yield* Ref.set(yield* Subjects, [worker.health(), client.health()])
}))

const connector = process.env["BEANSTALKD_URL"] === undefined ? EmbeddedServer.layer() : NodeConnector.layerEnv

workers.pipe(
  Layer.provide(BeanstalkClient.layer()),
  Layer.provide(connector),
  Layer.provide(probes),
  Layer.provide(Layer.effect(Subjects, Ref.make<ReadonlyArray<Effect.Effect<Health.Health>>>([]))),
  Layer.launch,
  NodeRuntime.runMain
)
