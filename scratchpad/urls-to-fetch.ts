/**
 * The producer and the worker of cl-beanstalk's README: URLs are put into a tube, and a worker fetches them, four at a time. A page
 * that fails is tried again, and buried after three runs. When no job is left, or at Ctrl-C, the worker is shut down.
 *
 *     npm start                                    the pages of a small server over this repository's own files
 *     npm start -- http://localhost:8080/ …        URLs of your own
 *     BEANSTALKD_URL=beanstalk://host:11300 npm start
 */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Fiber, Layer, Logger, LogLevel, Schedule, Schema, Stream } from "effect"
import { BeanstalkClient, EmbeddedServer, Tube, Worker } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import { startPages } from "./pages.ts"

const FetchUrl = Tube.make("URLs-to-fetch", {
  payload: Schema.Struct({ url: Schema.String }),
  priority: 100,
  ttr: "3 minutes"
})

/** Fetches a page, and prints its size and title. */
const fetchPage = ({ url }: { readonly url: string }) =>
  HttpClient.get(url).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap(({ text }) => text),
    Effect.timeout("10 seconds"),
    // To retry an invalid URL would be of no use.
    Effect.catchIf(
      (error) => error._tag === "RequestError" && error.reason === "InvalidUrl",
      (error) => new Worker.Bury({ reason: error.message })
    ),
    Effect.tap((page) => {
      const title = /<title>(.*?)<\/title>/is.exec(page)?.[1] ?? "(no title)"
      return Console.log(`fetched  ${url}: ${page.length} characters, ${title}`)
    })
  )

const worker = Worker.make(FetchUrl, fetchPage, {
  concurrency: 4,
  // Two more runs. The server counts them, so any worker can run the job then.
  retry: Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(2)),
  // Handlers that run longer than that after a shutdown began are interrupted.
  shutdownTimeout: "5 seconds"
})

const reasonOf = (cause: Cause.Cause<unknown>) => Cause.prettyErrors(cause).map(({ message }) => message).join(", ")

const print = (event: Worker.Event) => {
  switch (event._tag) {
    case "Completed":
      return Effect.void
    case "Retried":
      return Console.log(`retried  job ${event.id} after run ${event.attempt}: ${reasonOf(event.cause)}`)
    case "Buried":
      return Console.log(`buried   job ${event.id} after run ${event.attempt}: ${reasonOf(event.cause)}`)
    case "ShutdownReport":
      return Console.log(`closed   with ${event.interrupted.length} jobs given back`)
    default:
      return Console.log(`${event._tag} of job ${event.id}`)
  }
}

/** Waits until no job is ready, reserved or delayed. */
const untilEmpty = FetchUrl.stats.pipe(
  Effect.repeat({
    schedule: Schedule.spaced("100 millis"),
    until: (tube) => tube.currentJobsReady + tube.currentJobsReserved + tube.currentJobsDelayed === 0
  })
)

/** The server that BEANSTALKD_URL names, or one in this process, which needs nothing installed. */
const connector = process.env["BEANSTALKD_URL"] === undefined ? EmbeddedServer.layer() : NodeConnector.layerEnv

const main = Effect.gen(function*() {
  const args = process.argv.slice(2)
  const urls = args.length > 0 ? args : yield* startPages
  const jobs = yield* Stream.run(Stream.map(Stream.fromIterable(urls), (url) => ({ url })), FetchUrl.sink())
  yield* Console.log(`put      ${jobs} URLs into ${FetchUrl.name}`)

  const { events, shutdown, stats } = yield* worker
  const printing = yield* Effect.forkScoped(Stream.runForEach(events, print))
  // At Ctrl-C too: handlers have until the `shutdownTimeout` to end.
  yield* Effect.ensuring(untilEmpty, Effect.zipRight(shutdown, Fiber.join(printing)))
  const { outcomes } = yield* stats
  yield* Console.log(`done     ${outcomes.Completed} pages were fetched, ${outcomes.Buried} could not be`)
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.provide(BeanstalkClient.layer(), connector)),
  Effect.provide(NodeHttpClient.layerUndici),
  // The events are printed above.
  Logger.withMinimumLogLevel(LogLevel.Error),
  Effect.tapError((error) => Console.error(error.message))
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
