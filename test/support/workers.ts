/** Workers for tests: their server and clock, their events, and the server's record of their jobs. */
import { BeanstalkClient, EmbeddedServer, type Job, VirtualClock, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Scripted from "./scripted.ts"
import type { Server } from "./server.ts"

// server and clock ------------------------------------------------------------------------------------------------------

/** Without the log, in which every test of a failure would leave warnings. */
export const unlogged = Logger.remove(Logger.defaultLogger)

/** Provides a client, a server in memory, and virtual time. */
export const inVirtualTime = <A, E, R>(
  test: Effect.Effect<A, E, R>,
  options?: BeanstalkClient.Options
) =>
  test.pipe(
    Effect.scoped,
    Effect.provide(BeanstalkClient.layer(options)),
    Effect.provide(EmbeddedServer.layer()),
    Effect.provide(unlogged),
    Effect.provide(VirtualClock.layer()),
    // A Layer that sets the clock sets it for the rest of its fiber.
    Effect.fork,
    Effect.flatMap(Fiber.await),
    Effect.flatten
  )

/** Passes virtual time. */
export const takes = Clock.sleep

/** Provides a client of this server. */
export const onServer =
  (server: Pick<Server, "connector">, options?: BeanstalkClient.Options) => <A, E, R>(test: Effect.Effect<A, E, R>) =>
    test.pipe(
      Effect.provide(BeanstalkClient.layer(options)),
      Effect.provide(server.connector),
      Effect.provide(unlogged)
    )

// events ----------------------------------------------------------------------------------------------------------------

type EventOf<Tag extends Worker.Event["_tag"]> = Extract<Worker.Event, { readonly _tag: Tag }>

/** The events of a worker. */
export interface Told {
  /** All events so far. */
  readonly events: ReadonlyArray<Worker.Event>
  /** The tags of all events so far. */
  readonly tags: Effect.Effect<ReadonlyArray<Worker.Event["_tag"]>>
  /** Waits for the first event with a tag, or the n-th. */
  readonly event: <Tag extends Worker.Event["_tag"]>(tag: Tag, n?: number) => Effect.Effect<EventOf<Tag>>
  /** Waits until there are n events. */
  readonly atLeast: (n: number) => Effect.Effect<ReadonlyArray<Worker.Event>>
}

/** Collects the events of a worker from now on. */
export const listenTo = (worker: Pick<Worker.Worker, "events">): Effect.Effect<Told, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events: Array<Worker.Event> = []
    const watchers = new Set<() => void>()
    const hear = (event: Worker.Event) =>
      Effect.sync(() => {
        events.push(event)
        for (const watcher of watchers) watcher()
      })
    const until = <A>(find: () => A | undefined): Effect.Effect<A> =>
      Effect.async((resume) => {
        const watcher = () => {
          const found = find()
          if (found === undefined) return
          watchers.delete(watcher)
          resume(Effect.succeed(found))
        }
        watchers.add(watcher)
        watcher()
        return Effect.sync(() => watchers.delete(watcher))
      })
    yield* Effect.forkScoped(Stream.runForEach(worker.events, hear))
    // The stream is subscribed after one turn, before which no server can reply.
    yield* Scripted.turn
    return {
      events,
      tags: Effect.sync(() => events.map(({ _tag }) => _tag)),
      event: (tag, n = 1) => until(() => events.filter(Worker.Event.$is(tag))[n - 1]),
      atLeast: (n) => until(() => events.length < n ? undefined : events)
    }
  })

/** Starts a worker, and collects its events. See `Worker.make`. */
export const start = <A, RT, R = never, E = never, RO = never>(
  ...worker: Parameters<typeof Worker.make<A, RT, R, E, RO>>
) =>
  Effect.gen(function*() {
    const made = yield* Worker.make(...worker)
    return { worker: made, ...yield* listenTo(made) }
  })

// the server's record ---------------------------------------------------------------------------------------------------

/** The names of what happened to a job so far. */
export const historyOf = (id: Job.JobId) => Effect.map(entriesOf(id), (entries) => entries.map(({ event }) => event))

/** What happened to a job so far. */
export const entriesOf = (id: Job.JobId) =>
  Effect.flatMap(
    EmbeddedServer.EmbeddedServer,
    ({ journal }) => Effect.map(journal, (entries) => entries.filter((entry) => entry.id === id))
  )

/** Waits until this has happened to a job. */
export const happens = (id: Job.JobId, what: EmbeddedServer.JobEvent) =>
  Effect.flatMap(
    EmbeddedServer.EmbeddedServer,
    ({ events }) => events.pipe(Stream.takeUntil(({ event, id: of }) => event === what && of === id), Stream.runDrain)
  )
