/**
 * Producers, workers that come and go, a server, and all that can go wrong, on a clock of their own: one seed decides
 * everything that happens.
 */
import { BeanstalkClient, type BeanstalkError, Connector, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as EffectRandom from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Random } from "../random.ts"
import { Books, type Reservation } from "./books.ts"
import { Faults } from "./faults.ts"
import * as Handlers from "./handlers.ts"
import * as Stage from "./stage.ts"

export interface Options {
  readonly seed: number
  /** How many jobs are put. */
  readonly jobs: number
  /** There is a fault for so many writes, on average. */
  readonly every: number
}

export interface Report {
  readonly seed: number
  readonly books: Books
  readonly faults: number
  readonly struck: Record<string, number>
  readonly workers: number
  readonly outcomes: Record<string, number>
  /** In milliseconds. */
  readonly simulated: number
  readonly real: number
}

const producers = 4

const posts = 6

/** How many jobs may wait before producers wait. */
const backlog = 4000

/** The least of `maxDisconnects`. */
const fewDisconnects = 3

const tube = Tube.text("work", { payload: Schema.NumberFromString, ttr: "3 seconds" })

const { sleep } = Handlers

export const simulate = ({ every, jobs, seed }: Options): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const began = performance.now()
    const random = new Random(seed)
    const clock = yield* Effect.clock
    const books = new Books({ now: () => clock.unsafeCurrentTimeMillis(), maxDisconnects: fewDisconnects })
    const stage = yield* Stage.make(random, {
      onServer: () => books.onServer(),
      onJobEvent: (event, job, client) => books.onJobEvent(event, job, client?.number)
    })
    const faults = new Faults({ random, stage, books, every }, yield* Effect.runtime<never>())
    const world: World = {
      random,
      books,
      stage,
      faults,
      jobs,
      theEnd: yield* Deferred.make<void>(),
      outcomes: {},
      workers: 0
    }
    const working = yield* Effect.fork(
      Effect.all(Array.from({ length: posts }, () => post(world)), { concurrency: "unbounded" })
    )
    const operating = yield* Effect.fork(operator(world))
    yield* Effect.all(Array.from({ length: producers }, () => producer(world)), { concurrency: "unbounded" })
    yield* Fiber.interrupt(operating)
    faults.end()
    yield* untilDone(world)
    yield* Deferred.succeed(world.theEnd, undefined)
    yield* Fiber.join(working)
    for (const { client: { held, isWaiting } } of stage.connections()) {
      if (isWaiting || held.size > 0) books.accuse("a worker is gone, but not its connection")
    }
    return {
      seed,
      books,
      faults: faults.total,
      struck: Object.fromEntries(faults.counts),
      workers: world.workers,
      outcomes: world.outcomes,
      simulated: yield* Clock.currentTimeMillis,
      real: performance.now() - began
    }
  }).pipe(
    Effect.scoped,
    Effect.withRandom(EffectRandom.make(seed)),
    Effect.provide(Layer.merge(VirtualClock.layer(), Logger.remove(Logger.defaultLogger))),
    // The clock of a Layer stays with the fiber that was given it.
    Effect.fork,
    Effect.flatMap(Fiber.await),
    Effect.flatten
  )

interface World {
  readonly random: Random
  readonly books: Books
  readonly stage: Stage.Stage
  readonly faults: Faults
  readonly jobs: number
  readonly theEnd: Deferred.Deferred<void>
  readonly outcomes: Record<string, number>
  workers: number
}

/** The way to the server for somebody who may be struck. */
const clientOf = ({ faults, stage }: World, onReserved: (id: string, connection: number) => void = () => {}) =>
  Effect.provideService(
    BeanstalkClient.make({ connectTimeout: "2 seconds", replyTimeout: "3 seconds" }),
    Connector.Connector,
    stage.connectorOf({ onWrite: (chunk) => faults.onWrite(chunk), onReserved })
  )

// ---------------------------------------------------------------------------------------------------------------------
// producers
// ---------------------------------------------------------------------------------------------------------------------

/** Puts until there are enough, in bursts. */
const producer = (world: World) =>
  Effect.gen(function*() {
    const { books, jobs, random } = world
    const client = yield* clientOf(world)
    while (books.keys < jobs) {
      const burst = Array.from(
        { length: Math.min(random.between(1, 400), jobs - books.keys) },
        () => books.nextKey()
      )
      yield* Effect.forEach(burst, (key) => putJob(world, client, key), { concurrency: 40, discard: true })
      do yield* sleep(random.between(1, 5) * 100)
      while (books.size > backlog)
    }
  }).pipe(Effect.scoped, Effect.orDie)

/** Puts a job until it is there, or may be. */
const putJob = ({ books, random }: World, client: BeanstalkClient.Client, key: number): Effect.Effect<void> => {
  const body = random.chance(0.01) ? `?${key}` : `${key}`
  const options = {
    ttr: `${random.weighted([[1, 1], [2, 2], [20, 3], [5, 6]])} seconds`,
    priority: random.between(1, 5),
    delay: `${random.weighted([[20, 0], [1, 1], [1, 5]])} seconds`
  } as const
  const attempt: Effect.Effect<void> = Effect.matchEffect(client.put(tube.name, body, options), {
    onSuccess: () => Effect.sync(() => books.onAcknowledged(key)),
    onFailure: (error) => {
      if (error._tag === "Buried") return Effect.sync(() => books.onAcknowledged(key))
      return isUnknown(error) ? Effect.sync(() => books.onUnknown(key)) : Effect.zipRight(sleep(500), attempt)
    }
  })
  return attempt
}

const isUnknown = (error: BeanstalkError.PutError | BeanstalkError.ConnectFailed) =>
  error._tag === "ProtocolViolation" || (error._tag === "ConnectionLost" && error.outcome === "Unknown")

/** Kicks what is buried, now and then. */
const operator = (world: World) =>
  Effect.gen(function*() {
    const client = yield* clientOf(world)
    while (true) {
      yield* sleep(world.random.between(10, 60) * 1000)
      yield* Effect.ignore(client.kick(tube.name, world.random.between(1, 200)))
    }
  }).pipe(Effect.scoped, Effect.orDie)

// ---------------------------------------------------------------------------------------------------------------------
// workers
// ---------------------------------------------------------------------------------------------------------------------

/** One worker after the other, each told something else. */
const post = (world: World) =>
  Effect.gen(function*() {
    while (!(yield* Deferred.isDone(world.theEnd))) yield* Effect.scoped(worker(world))
  }).pipe(Effect.orDie)

/** How long, in milliseconds, a shutdown may take beyond what it was told: handlers have grace, and connections close. */
const closing = 4000

/** What one worker was given, and of which it has not said yet what became of it. */
class Held {
  private readonly books: Books
  private readonly counts = new Map<string, number>()
  private readonly reservations = new Map<string, Reservation>()
  private readonly begun = new WeakSet<Reservation>()

  constructor(books: Books) {
    this.books = books
  }

  /** What comes to a connection that is being closed is seen here, but by no worker. */
  get left(): ReadonlyArray<string> {
    return Array.from(this.counts.keys()).filter((id) => {
      const reservation = this.reservations.get(id)
      return reservation !== undefined && this.begun.has(reservation)
    })
  }

  /** A handler asks when it begins. */
  reservationOf(id: string): Reservation | undefined {
    const reservation = this.reservations.get(id)
    if (reservation !== undefined) this.begun.add(reservation)
    return reservation
  }

  begin(id: string, connection: number): void {
    const reservation = this.books.reservationOf(id, connection)
    if (reservation === undefined) this.reservations.delete(id)
    else this.reservations.set(id, reservation)
    this.count(id, 1)
  }

  end(id: string): void {
    this.count(id, -1)
  }

  private count(id: string, by: 1 | -1): void {
    const count = (this.counts.get(id) ?? 0) + by
    if (count < 0) this.books.accuse(`job id ${id} ended more often than it was reserved`)
    if (count !== 0) this.counts.set(id, count)
    else {
      this.counts.delete(id)
      this.reservations.delete(id)
    }
  }
}

const worker = (world: World) =>
  Effect.gen(function*() {
    const { books, random } = world
    world.workers += 1
    const heartbeat = random.chance(0.8)
    // Without a heartbeat a handler is interrupted after two seconds anyway.
    const timeout = random.chance(0.3) ? random.between(5, heartbeat ? 50 : 19) * 100 : undefined
    const policy: Handlers.Policy = {
      retries: random.between(0, 4),
      onDefect: random.pick(["bury", "retry"]),
      onExhausted: random.pick(["bury", "delete", "do", "fail"]),
      isTimed: timeout !== undefined || !heartbeat
    }
    const shutdownTimeout = random.between(0, 50) * 100
    const held = new Held(books)
    const client = yield* clientOf(world, (id, connection) => held.begin(id, connection))
    const handling = { random, books, policy, reservationOf: (id: string) => held.reservationOf(id) }
    const made = yield* Effect.provideService(
      Worker.make(tube, Handlers.make(handling), {
        concurrency: random.between(1, 16),
        retry: Handlers.retryOf(policy),
        onExhausted: Handlers.onExhausted(handling),
        onDefect: policy.onDefect,
        onUndecodable: random.pick(["bury", "delete", "release"]),
        onLeaseLost: random.weighted([[5, "interrupt"], [1, "continue"]]),
        timeout,
        heartbeat,
        maxDisconnects: random.chance(0.2) ? random.between(fewDisconnects, 10) : undefined,
        gate: random.chance(0.2) ? gate(random) : undefined,
        reserveSlice: random.between(1, 30) * 1000,
        idleLaneTimeout: random.between(1, 30) * 1000,
        shutdownTimeout
      }),
      BeanstalkClient.BeanstalkClient,
      client
    )
    // A fiber that is run like that listens before anything is told.
    const listening = Runtime.runFork(yield* Effect.runtime<never>())(Stream.runForEach(made.events, (event) =>
      Effect.sync(() => {
        world.outcomes[event._tag] = (world.outcomes[event._tag] ?? 0) + 1
        if (event._tag !== "ShutdownReport") held.end(event.id)
      })))
    yield* Effect.raceFirst(live(made, random), Deferred.await(world.theEnd))
    const report = yield* made.shutdown
    if (Duration.toMillis(report.duration) > shutdownTimeout + closing) {
      books.accuse(`a shutdown took ${Duration.format(report.duration)}, and was to take ${shutdownTimeout} ms`)
    }
    yield* Fiber.join(listening)
    for (const id of held.left) {
      books.accuse(`nobody has said what became of job id ${id}`)
    }
  })

/** The life of a worker, which may rest in between. */
const live = (worker: Worker.Worker, random: Random) =>
  Effect.gen(function*() {
    yield* sleep(random.between(1, 60) * 1000)
    if (random.chance(0.7)) return
    yield* worker.quiet
    yield* sleep(random.between(1, 50) * 100)
    yield* worker.resume
    yield* sleep(random.between(1, 60) * 1000)
  })

/** Takes its time now and then, and may die. */
const gate = (random: Random) =>
  Effect.suspend(() => {
    if (random.chance(0.001)) return Effect.dieMessage("a gate that died")
    return random.chance(0.95) ? Effect.void : sleep(random.between(1, 10) * 100)
  })

// ---------------------------------------------------------------------------------------------------------------------
// the end
// ---------------------------------------------------------------------------------------------------------------------

/** In virtual time nobody needs as long to end what is left as a day. */
const untilDone = ({ books }: World) =>
  Effect.gen(function*() {
    for (let waited = 0;; waited += 10_000) {
      const [first] = books.left
      if (first === undefined) return
      if (waited > 24 * 3600 * 1000) {
        return books.accuse(`${books.left.length} jobs are never done: job ${first.key} is ${first.job.state}`)
      }
      yield* sleep(10_000)
    }
  })
