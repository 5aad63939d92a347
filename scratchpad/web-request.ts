/**
 * A producer in a web request: `POST /pages` puts a job, and replies with the outcome.
 *
 *     npx tsx scratchpad/web-request.ts                            on a beanstalkd in its own process
 *     BEANSTALKD_URL=beanstalk://host:11300 PORT=3000 npx tsx scratchpad/web-request.ts
 *     curl -i localhost:3000/pages -H 'content-type: application/json' -d '{"url":"http://example.org/"}'
 */
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, HttpServer } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Schema } from "effect"
import { BeanstalkClient, BeanstalkError, EmbeddedServer, Tube } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import { createServer } from "node:http"

const Page = Schema.Struct({ url: Schema.String })

const Pages = Tube.make("URLs-to-fetch", { payload: Page, ttr: "3 minutes" })

/** The job is in the queue. */
const Accepted = Schema.Struct({ job: Schema.String }).annotations(HttpApiSchema.annotations({ status: 202 }))

/** Nothing was put: send the request again later. */
class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  { reason: Schema.String },
  HttpApiSchema.annotations({ status: 503 })
) {}

/** The connection was lost during the put: the job may be in the queue, and would be there twice if the request were sent again. */
class Uncertain extends Schema.TaggedError<Uncertain>()("Uncertain", {}, HttpApiSchema.annotations({ status: 504 })) {}

class TooLarge extends Schema.TaggedError<TooLarge>()(
  "TooLarge",
  { bytes: Schema.Number },
  HttpApiSchema.annotations({ status: 413 })
) {}

const Api = HttpApi.make("crawler").add(
  HttpApiGroup.make("pages").add(
    HttpApiEndpoint.post("add", "/pages")
      .setPayload(Page)
      .addSuccess(Accepted)
      .addError(Unavailable)
      .addError(Uncertain)
      .addError(TooLarge)
  )
)

const addPage = (page: typeof Page.Type) =>
  Pages.put(page).pipe(
    // The job exists, and an operator can kick it.
    Effect.catchTag("Buried", (buried) => Effect.succeed(buried.id)),
    Effect.catchTags({
      JobTooBig: ({ size }) => new TooLarge({ bytes: size }),
      Draining: () => new Unavailable({ reason: "the queue is about to be restarted" }),
      OutOfMemory: () => new Unavailable({ reason: "the queue is full" }),
      ConnectFailed: () => new Unavailable({ reason: "the queue cannot be reached" }),
      ConnectionLost: ({ outcome }) =>
        outcome === "Unknown" ? new Uncertain() : new Unavailable({ reason: "the connection to the queue was lost" })
    }),
    // The Schema of the request is that of the payload: a page that cannot be encoded is a bug here.
    Effect.catchTags({ InternalError: Effect.die, PayloadError: Effect.die }),
    // These belong in the log, not in the response.
    Effect.catchIf(BeanstalkError.isBug, Effect.die),
    Effect.map((job) => ({ job }))
  )

const handlers = HttpApiBuilder.group(
  Api,
  "pages",
  (pages) => pages.handle("add", ({ payload }) => addPage(payload))
)

const connector = process.env["BEANSTALKD_URL"] === undefined ? EmbeddedServer.layer() : NodeConnector.layerEnv

// The default of ten seconds is too long for a web request.
const client = Layer.provide(BeanstalkClient.layer({ offlineTimeout: "1 second" }), connector)

const httpServer = Layer.unwrapEffect(
  Effect.map(
    Config.withDefault(Config.integer("PORT"), 3000),
    (port) => NodeHttpServer.layer(createServer, { port, host: "127.0.0.1" })
  )
)

const main = HttpApiBuilder.serve().pipe(
  HttpServer.withLogAddress,
  Layer.provide(HttpApiBuilder.api(Api)),
  Layer.provide(handlers),
  Layer.provide(client),
  Layer.provide(httpServer),
  Layer.launch
)

NodeRuntime.runMain(main)
