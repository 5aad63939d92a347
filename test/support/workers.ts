/** Workers for tests: a client and a server for them, their events, and the journal of the embedded server. */
import { BeanstalkClient, EmbeddedServer, type Job, VirtualClock, Worker } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Changing } from "./changing.ts"
import * as Scripted from "./scripted.ts"
import type { Server } from "./server.ts"

// a client and a server -------------------------------------------------------------------------------------------------

/** Without the log lines of workers, which report the failures that a test causes. */
export const unlogged = Logger.remove(Logger.defaultLogger)

/** Provides an embedded server and a client of it, in virtual time. */
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
    // The Clock of the Layer would stay set in the calling fiber: it is provided to a fiber of its own.
    Effect.fork,
    Effect.flatMap(Fiber.await),
    Effect.flatten
  )

/** Provides a client of this server. */
export const onServer =
  (server: Pick<Server, "connector">, options?: BeanstalkClient.Options) => <A, E, R>(test: Effect.Effect<A, E, R>) =>
    test.pipe(
      Effect.provide(BeanstalkClient.layer(options)),
      Effect.provide(server.connector),
      Effect.provide(unlogged)
    )

// the events of a worker ------------------------------------------------------------------------------------------------

type EventOf<Tag extends Worker.Event["_tag"]> = Extract<Worker.Event, { readonly _tag: Tag }>

/** The events that a worker has emitted. */
export interface CollectedEvents {
  /** All events so far. */
  readonly events: ReadonlyArray<Worker.Event>
  /** The tags of all events so far. */
  readonly tags: Effect.Effect<ReadonlyArray<Worker.Event["_tag"]>>
  /** Waits for the first event with this tag, or for the n-th. */
  readonly event: <Tag extends Worker.Event["_tag"]>(tag: Tag, n?: number) => Effect.Effect<EventOf<Tag>>
  /** Waits until there are at least n events. */
  readonly atLeast: (n: number) => Effect.Effect<ReadonlyArray<Worker.Event>>
}

/** Collects the events of a worker from now on. */
export const collectEvents = (
  worker: Pick<Worker.Worker, "events">
): Effect.Effect<CollectedEvents, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events: Array<Worker.Event> = []
    const changing = new Changing()
    const onEvent = (event: Worker.Event) =>
      Effect.sync(() => {
        events.push(event)
        changing.changed()
      })
    yield* Effect.forkScoped(Stream.runForEach(worker.events, onEvent))
    // The Stream listens after this turn of the event loop. No server delivers a job earlier.
    yield* Scripted.turn
    return {
      events,
      tags: Effect.sync(() => events.map(({ _tag }) => _tag)),
      event: (tag, n = 1) => changing.found(() => events.filter(Worker.Event.$is(tag))[n - 1]),
      atLeast: (n) => changing.found(() => events.length < n ? undefined : events)
    }
  })

/** Starts a worker, and collects its events. See `Worker.make`. */
export const start = <A, RT, R = never, E = never, RO = never>(
  ...worker: Parameters<typeof Worker.make<A, RT, R, E, RO>>
) =>
  Effect.gen(function*() {
    const made = yield* Worker.make(...worker)
    return { worker: made, ...yield* collectEvents(made) }
  })

// the journal of the embedded server ------------------------------------------------------------------------------------

/** The events of a job so far, in the server's journal. */
export const jobEvents = (id: Job.JobId) =>
  Effect.map(journalEntries(id), (entries) => entries.map(({ event }) => event))

/** The entries of a job so far, in the server's journal. */
export const journalEntries = (id: Job.JobId) =>
  Effect.flatMap(
    EmbeddedServer.EmbeddedServer,
    ({ journal }) => Effect.map(journal, (entries) => entries.filter((entry) => entry.id === id))
  )

/** Waits until the server's journal has this event of a job. */
export const awaitJobEvent = (id: Job.JobId, event: EmbeddedServer.JobEvent) =>
  Effect.flatMap(
    EmbeddedServer.EmbeddedServer,
    ({ events }) => events.pipe(Stream.takeUntil((entry) => entry.event === event && entry.id === id), Stream.runDrain)
  )
