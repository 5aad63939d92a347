/**
 * The producer and the worker of cl-beanstalk's README: URLs go into a tube, workers fetch them.
 *
 *     npm start                                    the pages of a small server over this repository's own files
 *     npm start -- http://localhost:8080/ …        URLs of your own
 *     BEANSTALKD_URL=beanstalk://host:11300 npm start
 */
import { HttpClient } from "@effect/platform"
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { BeanstalkConnection, EmbeddedServer, type Job } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import { startPages } from "./pages.ts"

const tube = "URLs-to-fetch"
const priority = 100

/** Puts every URL, and leaves out those the server does not take. Succeeds with the number of jobs there are. */
const produce = (urls: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const beanstalk = yield* BeanstalkConnection.make({ name: "producer", tube })
    const ids = yield* Effect.forEach(urls, (url) =>
      beanstalk.put(url, { priority, ttr: "180 seconds" }).pipe(
        Effect.catchTags({
          // The job exists, but the server had no memory to make it ready. Somebody has to kick it.
          Buried: (buried) => Effect.as(Console.warn(buried.message), buried.id),
          JobTooBig: (tooBig) => Effect.as(Console.warn(tooBig.message), undefined)
        })
      ), { concurrency: "unbounded" })
    return ids.filter((id) => id !== undefined).length
  }).pipe(Effect.scoped)

/** Fetches a page, and tells its status, size and title. */
const fetchPage = (url: string) =>
  Effect.gen(function*() {
    const response = yield* HttpClient.get(url)
    const page = yield* response.text
    const title = /<title>(.*?)<\/title>/is.exec(page)?.[1] ?? "(no title)"
    return `${response.status}  ${String(page.length).padStart(6)} characters  ${title}`
  }).pipe(Effect.scoped, Effect.timeout("10 seconds"))

/** Does one job, and tells the server what became of it. A page that cannot be fetched is put aside for a person. */
const handle = (beanstalk: BeanstalkConnection.Connection, job: Job.ReservedJob) => {
  const putAside = (error: Error) => Effect.andThen(Console.warn(error.message), beanstalk.bury(job.id, priority))
  return Effect.gen(function*() {
    const url = yield* job.text()
    const page = yield* fetchPage(url)
    yield* Console.log(`${beanstalk.name}: ${page}  ${url}`)
    yield* beanstalk.delete(job.id)
  }).pipe(
    Effect.catchTags({
      InvalidText: putAside,
      RequestError: putAside,
      ResponseError: putAside,
      TimeoutException: putAside
    }),
    Effect.catchTag("JobNotFound", (error) => Console.warn(`${error.message} Another worker may have it.`))
  )
}

/** Works until nothing has arrived for a second. Each worker has a connection of its own, since a reserve blocks it. */
const work = (name: string) =>
  Effect.gen(function*() {
    const beanstalk = yield* BeanstalkConnection.make({ name, watch: [tube] })
    yield* Stream.repeatEffect(beanstalk.reserveWithTimeout("1 second")).pipe(
      Stream.runForEach((job) => handle(beanstalk, job)),
      Effect.catchTag("TimedOut", () => Console.log(`${name}: nothing arrived for a second, done`))
    )
  }).pipe(Effect.scoped)

/** The server that BEANSTALKD_URL names, or one in this process, which needs nothing installed. */
const connector = process.env["BEANSTALKD_URL"] === undefined ? EmbeddedServer.layer() : NodeConnector.layerEnv

const main = Effect.gen(function*() {
  const args = process.argv.slice(2)
  const urls = args.length > 0 ? args : yield* startPages
  const jobs = yield* produce(urls)
  yield* Console.log(`producer: put ${jobs} URLs into ${tube}`)
  yield* Effect.forEach(["worker 1", "worker 2", "worker 3"], work, { concurrency: "unbounded", discard: true })
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(connector, NodeHttpClient.layerUndici)),
  Effect.tapError((error) => Console.error(error.message))
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
