/**
 * A simulation of producers, workers that start and shut down, one server or a cluster of several, and faults, in virtual time:
 * one seed decides everything that happens.
 */
import {
  BeanstalkClient,
  BeanstalkCluster,
  type BeanstalkError,
  type BeanstalkProtocol,
  Connector,
  Tube,
  VirtualClock,
  Worker
} from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as EffectRandom from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Random } from "../random.ts"
import { Faults } from "./faults.ts"
import * as Handlers from "./handlers.ts"
import { idOf, JobTracker, type Reservation } from "./jobTracker.ts"
import * as Process from "./process.ts"
import * as SimulatedServer from "./simulatedServer.ts"

export interface Options {
  readonly seed: number
  /** How many jobs are put. */
  readonly jobs: number
  /** How many servers there are. Default: one, without a cluster. */
  readonly servers?: number | undefined
  /** The average number of writes to a server between two faults. */
  readonly writesPerFault: number
  /** Called with each violation when it is found. The report has them too. */
  readonly onViolation?: ((violation: string) => void) | undefined
}

export interface Report {
  readonly seed: number
  readonly tracker: JobTracker
  /** Those of each server. */
  readonly faultsByName: ReadonlyArray<Record<string, number>>
  readonly workers: number
  readonly outcomes: Record<string, number>
  /** In milliseconds. */
  readonly simulated: number
  readonly real: number
}

const producers = 4

/** How many workers run at a time. */
const workersAtATime = 6

/** The number of jobs in the server above which producers wait. */
const backlog = 4000

/** The least `maxDisconnects` of a worker. */
const leastMaxDisconnects = 3

/** The time to run of the tube, in seconds. */
const ttr = 3

const tube = Tube.text("work", { payload: Schema.NumberFromString, ttr: `${ttr} seconds` })

const { sleep } = Handlers

export const simulate = (
  { jobs, onViolation = constVoid, seed, servers = 1, writesPerFault }: Options
): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const began = performance.now()
    const random = new Random(seed)
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const tracker = new JobTracker({ now, maxDisconnects: leastMaxDisconnects, ttr, onViolation })
    const processes = new Set<Process.Process>()
    const runtime = yield* Effect.runtime<never>()
    const startServer = (number: number) =>
      Effect.map(
        SimulatedServer.make(number, random, {
          onServer: () => tracker.onServer(number),
          onJobEvent: (event, job, client) => {
            // Workers put jobs into another tube, to find out whether the server has disk space.
            if (job.tube.name === tube.name) tracker.onJobEvent(number, event, job, client?.number)
          }
        }),
        (server) => ({ server, faults: new Faults({ random, server, processes, tracker, writesPerFault }, runtime) })
      )
    const simulation: Simulation = {
      random,
      tracker,
      processes,
      servers: yield* Effect.forEach(Array.from({ length: servers }, (_, number) => number), startServer),
      jobs,
      allSettled: yield* Deferred.make<void>(),
      outcomes: {},
      workers: 0
    }
    const working = yield* Effect.fork(
      Effect.all(Array.from({ length: workersAtATime }, () => workersInTurn(simulation)), { concurrency: "unbounded" })
    )
    const kicking = yield* Effect.fork(kicker(simulation))
    yield* Effect.all(Array.from({ length: producers }, () => producer(simulation)), { concurrency: "unbounded" })
    yield* Fiber.interrupt(kicking)
    for (const { faults } of simulation.servers) faults.end()
    yield* untilSettled(simulation)
    yield* Deferred.succeed(simulation.allSettled, undefined)
    yield* Fiber.join(working)
    for (
      const { client: { held, isWaiting } } of simulation.servers.flatMap(({ server }) => [...server.connections()])
    ) {
      if (isWaiting || held.size > 0) tracker.violation("a worker is closed, but not its connection")
    }
    return {
      seed,
      tracker,
      faultsByName: simulation.servers.map(({ faults }) => Object.fromEntries(faults.counts)),
      workers: simulation.workers,
      outcomes: simulation.outcomes,
      simulated: yield* Clock.currentTimeMillis,
      real: performance.now() - began
    }
  }).pipe(
    Effect.scoped,
    Effect.withRandom(EffectRandom.make(seed)),
    Effect.provide(Layer.merge(VirtualClock.layer(), Logger.remove(Logger.defaultLogger))),
    // The Clock of the Layer would stay set in the calling fiber: it is provided to a fiber of its own.
    Effect.fork,
    Effect.flatMap(Fiber.await),
    Effect.flatten
  )

interface Simulation {
  readonly random: Random
  readonly tracker: JobTracker
  readonly servers: ReadonlyArray<ServerWithFaults>
  /** Those of the workers that run. */
  readonly processes: Set<Process.Process>
  readonly jobs: number
  /** Done when every job is deleted or buried. */
  readonly allSettled: Deferred.Deferred<void>
  readonly outcomes: Record<string, number>
  workers: number
}

interface ServerWithFaults {
  readonly server: SimulatedServer.SimulatedServer
  readonly faults: Faults
}

interface ClientObserver extends Pick<SimulatedServer.ClientObserver, "process"> {
  /** The client has received a reply from a server, on this connection. */
  readonly onReply: (reply: BeanstalkProtocol.Reply, from: ServerWithFaults, connection: number) => void
}

/** A client of the server, or of the cluster, whose connections have faults. */
const clientOf = ({ servers }: Simulation, { onReply, process }: ClientObserver = unobserved) => {
  const options = { connectTimeout: "2 seconds", replyTimeout: "3 seconds" } as const
  const connectorTo = (one: ServerWithFaults) =>
    Layer.succeed(
      Connector.Connector,
      one.server.connectorOf({
        onWrite: (chunk) => one.faults.onWrite(chunk),
        onReply: (reply, connection) => onReply(reply, one, connection),
        process
      })
    )
  const [first, ...others] = servers.map((one) => ({ id: one.server.number, connector: connectorTo(one) }))
  return first !== undefined && others.length === 0
    ? Effect.provide(BeanstalkClient.make(options), first.connector)
    : BeanstalkCluster.make(first === undefined ? [] : [first, ...others], options)
}

const unobserved: ClientObserver = { onReply: constVoid, process: undefined }

// ---------------------------------------------------------------------------------------------------------------------
// producers
// ---------------------------------------------------------------------------------------------------------------------

/** Puts jobs in bursts, until all have been put. */
const producer = (simulation: Simulation) =>
  Effect.gen(function*() {
    const { jobs, random, tracker } = simulation
    const client = yield* clientOf(simulation)
    while (tracker.keys < jobs) {
      const burst = Array.from(
        { length: Math.min(random.between(1, 400), jobs - tracker.keys) },
        () => tracker.nextKey()
      )
      yield* Effect.forEach(burst, (key) => putJob(simulation, client, key), { concurrency: 40, discard: true })
      do yield* sleep(random.between(1, 5) * 100)
      while (tracker.size > backlog)
    }
  }).pipe(Effect.scoped, Effect.orDie)

/** Puts a job until the server acknowledges it, or may have it. */
const putJob = ({ random, tracker }: Simulation, client: BeanstalkClient.Client, key: number): Effect.Effect<void> => {
  const body = random.chance(0.01) ? `?${key}` : `${key}`
  const options = {
    ttr: `${random.weighted([[1, 1], [2, 2], [20, 3], [5, 6]])} seconds`,
    priority: random.between(1, 5),
    delay: `${random.weighted([[20, 0], [1, 1], [1, 5]])} seconds`
  } as const
  const attempt: Effect.Effect<void> = Effect.matchEffect(client.put(tube.name, body, options), {
    onSuccess: () => Effect.sync(() => tracker.onAcknowledged(key)),
    onFailure: (error) => {
      if (error._tag === "Buried") return Effect.sync(() => tracker.onAcknowledged(key))
      return isUnknown(error) ? Effect.sync(() => tracker.onUnknown(key)) : Effect.zipRight(sleep(500), attempt)
    }
  })
  return attempt
}

const isUnknown = (error: BeanstalkError.PutError | BeanstalkError.ConnectFailed) =>
  error._tag === "ProtocolViolation" || (error._tag === "ConnectionLost" && error.outcome === "Unknown")

/** Kicks buried jobs from time to time. */
const kicker = (simulation: Simulation) =>
  Effect.gen(function*() {
    const client = yield* clientOf(simulation)
    while (true) {
      yield* sleep(simulation.random.between(10, 60) * 1000)
      yield* Effect.ignore(client.kick(tube.name, simulation.random.between(1, 200)))
    }
  }).pipe(Effect.scoped, Effect.orDie)

// ---------------------------------------------------------------------------------------------------------------------
// workers
// ---------------------------------------------------------------------------------------------------------------------

/** Runs one worker after the other, each with other options. */
const workersInTurn = (simulation: Simulation) =>
  Effect.gen(function*() {
    while (!(yield* Deferred.isDone(simulation.allSettled))) {
      const process = yield* Process.make(simulation.random)
      simulation.processes.add(process)
      yield* Effect.withScheduler(Effect.scoped(worker(simulation, process)), process)
      simulation.processes.delete(process)
    }
  }).pipe(Effect.orDie)

/** How much longer than `shutdownTimeout` a shutdown may take, in milliseconds: for interrupted handlers, and to close. */
const closing = 4000

/** A job that a worker has received. */
interface Received {
  /** `undefined` if the server has ended it since. */
  readonly reservation: Reservation | undefined
  /** Whether its handler has begun: a job that arrives while its connection is being closed is not run, and has no event. */
  hasBegun: boolean
}

/** The reservations of one worker for which it has not emitted an event. */
class OpenReservations {
  private readonly tracker: JobTracker
  private readonly byId = new Map<string, ReadonlyArray<Received>>()
  /** The latest of each connection, by the server and its number there. */
  private readonly latest = new Map<string, Reservation | undefined>()

  constructor(tracker: JobTracker) {
    this.tracker = tracker
  }

  get begunIds(): ReadonlyArray<string> {
    return Array.from(this.byId).flatMap(([id, received]) => received.some(({ hasBegun }) => hasBegun) ? [id] : [])
  }

  begin(server: number, own: number, connection: number): void {
    const id = idOf(server, own)
    const reservation = this.tracker.onReceived(id, connection)
    this.latest.set(`${server} ${connection}`, reservation)
    this.byId.set(id, [{ reservation, hasBegun: false }, ...this.byId.get(id) ?? []])
  }

  /** Called when a handler begins. */
  reservationOf(id: string): Reservation | undefined {
    const received = this.byId.get(id)?.[0]
    if (received?.reservation === undefined) return undefined
    received.hasBegun = true
    return received.reservation
  }

  /** The worker has received the statistics of its job on a connection. */
  onStats(server: number, connection: number): void {
    const reservation = this.latest.get(`${server} ${connection}`)
    if (reservation !== undefined) reservation.isTtrKnown = true
  }

  /** The worker has emitted an event for a job. */
  end(id: string): void {
    const received = this.byId.get(id) ?? []
    const ended = received.find(({ hasBegun }) => hasBegun) ?? received[0]
    if (ended === undefined) this.tracker.violation(`job id ${id} has more events than reservations`)
    const left = received.filter((other) => other !== ended)
    if (left.length > 0) this.byId.set(id, left)
    else this.byId.delete(id)
  }
}

const worker = (simulation: Simulation, process: Process.Process) =>
  Effect.gen(function*() {
    const { random, tracker } = simulation
    simulation.workers += 1
    const heartbeat = random.chance(0.8)
    // Without a heartbeat a handler is interrupted after two seconds anyway.
    const timeout = random.chance(0.3) ? random.between(5, heartbeat ? 50 : 19) * 100 : undefined
    const onLeaseLost = random.weighted([[5, "interrupt"], [1, "continue"]] as const)
    const policy: Handlers.Policy = {
      interruptsLost: onLeaseLost === "interrupt",
      retries: random.between(0, 4),
      onDefect: random.pick(["bury", "retry"]),
      onExhausted: random.pick(["bury", "delete", "succeed", "fail"]),
      isTimed: timeout !== undefined || !heartbeat
    }
    const shutdownTimeout = random.between(0, 50) * 100
    const open = new OpenReservations(tracker)
    const onReply: ClientObserver["onReply"] = (reply, { faults, server: { number } }, connection) => {
      if (reply._tag === "Reserved") open.begin(number, Number(reply.id), connection)
      else if (reply._tag === "Ok") open.onStats(number, connection)
      else if (reply._tag === "OutOfMemory" || reply._tag === "InternalError") faults.onErrorRead(process, connection)
    }
    const client = yield* clientOf(simulation, { onReply, process })
    const handlerOptions = { random, tracker, process, policy, reservationOf: (id: string) => open.reservationOf(id) }
    const made = yield* Effect.provideService(
      Worker.make(tube, Handlers.make(handlerOptions), {
        concurrency: random.between(1, 16),
        retry: Handlers.retryOf(policy),
        onExhausted: Handlers.onExhausted(handlerOptions),
        onDefect: policy.onDefect,
        onUndecodable: random.pick(["bury", "delete", "release"]),
        onLeaseLost,
        timeout,
        heartbeat,
        maxDisconnects: random.chance(0.2) ? random.between(leastMaxDisconnects, 10) : undefined,
        gate: random.chance(0.2) ? gate(random) : undefined,
        reserveSlice: random.between(1, 30) * 1000,
        idleLaneTimeout: random.between(1, 30) * 1000,
        shutdownTimeout
      }),
      BeanstalkClient.BeanstalkClient,
      client
    )
    // `runFork` runs the fiber at once until it first waits: it listens before the worker emits an event.
    const listening = Runtime.runFork(yield* Effect.runtime<never>())(Stream.runForEach(made.events, (event) =>
      Effect.sync(() => {
        simulation.outcomes[event._tag] = (simulation.outcomes[event._tag] ?? 0) + 1
        if (Worker.isJobEvent(event)) open.end(event.id)
      })))
    yield* Effect.raceFirst(lifetime(made, random), Deferred.await(simulation.allSettled))
    const began = process.runningTime
    const report = yield* made.shutdown
    // It cannot do anything while its event loop is blocked.
    if (process.runningTime - began > shutdownTimeout + closing) {
      tracker.violation(
        `a shutdown took ${Duration.format(report.duration)}, its shutdownTimeout being ${shutdownTimeout} ms`
      )
    }
    yield* Fiber.join(listening)
    for (const id of open.begunIds) {
      tracker.violation(`job id ${id} was run, but its worker emitted no event for it`)
    }
  })

/** How long a worker runs. It may be quiet in between. */
const lifetime = (worker: Worker.Worker, random: Random) =>
  Effect.gen(function*() {
    yield* sleep(random.between(1, 60) * 1000)
    if (random.chance(0.7)) return
    yield* worker.quiet
    yield* sleep(random.between(1, 50) * 100)
    yield* worker.resume
    yield* sleep(random.between(1, 60) * 1000)
  })

/** May sleep, and may die. */
const gate = (random: Random) =>
  Effect.suspend(() => {
    if (random.chance(0.001)) return Effect.dieMessage("the gate died")
    return random.chance(0.95) ? Effect.void : sleep(random.between(1, 10) * 100)
  })

// ---------------------------------------------------------------------------------------------------------------------
// the end
// ---------------------------------------------------------------------------------------------------------------------

/** Waits until every job is deleted or buried, for a day of virtual time at most. */
const untilSettled = ({ tracker }: Simulation) =>
  Effect.gen(function*() {
    for (let waited = 0;; waited += 10_000) {
      const [first] = tracker.left
      if (first === undefined) return
      if (waited > 24 * 3600 * 1000) {
        return tracker.violation(`${tracker.left.length} jobs are not settled: job ${first.key} is ${first.job.state}`)
      }
      yield* sleep(10_000)
    }
  })
