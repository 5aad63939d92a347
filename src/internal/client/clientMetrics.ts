/**
 * The metrics of a client.
 *
 * What is counted for each command is counted in plain numbers, and handed to `Metric` once a second and when the client closes;
 * only durations are handed over one by one, since a histogram takes no sums.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import type * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { TubeName } from "../../Job.ts"
import { tagOf } from "../base/errorType.ts"
import {
  counter,
  counterKey,
  durations,
  gauge,
  gaugeKey,
  histogram,
  type Labels,
  labelsOf,
  memoized,
  noTags,
  secondsKey
} from "../base/metrics.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import { ofServer } from "../base/semanticConventions.ts"
import type { ConnectionObserver, SessionObserver } from "../connection/observer.ts"
import type { Command, Decoded } from "../protocol/command.ts"

/** The connection that all commands share, or a connection of its own, on which jobs are reserved. */
export type Role = "shared" | "lease"

/** What comes before an attempt to connect again. */
export type Loss = "ConnectionLost" | "ConnectFailed"

export interface ClientMetrics {
  /** Observes connections of this role. `tube` is the one that they all reserve from, if there is one. */
  readonly observe: (role: Role, tube?: TubeName) => typeof ConnectionObserver.Service
  /** A command has waited for a connection in vain, for so many milliseconds. */
  readonly onNotSent: (command: Command<unknown, unknown>, error: string, waited: number) => void
  /** A connection was lost, or an attempt has failed, and the next attempt follows. */
  readonly onReconnect: (lost: Loss) => void
}

/** Starts the metrics of a client, which are handed over until the Scope closes. */
export const make = (address: string): Effect.Effect<ClientMetrics, never, Scope.Scope> =>
  Effect.gen(function*() {
    const registry = new Registry(address, yield* FiberRef.get(FiberRef.currentMetricLabels))
    const now = yield* monotonicMillis
    const handOver = Effect.sync(() => registry.handOver())
    yield* Effect.addFinalizer(() => Effect.sync(() => registry.close()))
    yield* Effect.delay(handOver, "1 second").pipe(Effect.forever, Effect.interruptible, Effect.forkScoped)
    return {
      observe: (role, tube) => ({ onConnecting: () => new ObservedSession(registry, role, tube, now) }),
      onNotSent: (command, error, waited) => registry.operation(command, undefined).record(command, error, waited),
      onReconnect: (lost) => registry.reconnects(lost).add(1)
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// plain numbers
// ---------------------------------------------------------------------------------------------------------------------

/** A number that is added to a counter, or is the value of a gauge, when it is handed over. */
class Sum {
  private pending = 0
  /** Whether each amount is handed over at once. */
  private isDirect = false
  private readonly update: (amount: number) => void

  constructor(update: (amount: number) => void) {
    this.update = update
  }

  add(amount: number): void {
    this.pending += amount
    if (this.isDirect) this.handOver()
  }

  becomeDirect(): void {
    this.isDirect = true
    this.handOver()
  }

  handOverZero(): void {
    this.update(0)
  }

  handOver(): void {
    if (this.pending !== 0) this.update(this.pending)
    this.pending = 0
  }
}

class Registry {
  private readonly labels: Labels
  private readonly sums: Array<Sum> = []
  private isClosed = false
  private readonly operations: (tube: TubeName | undefined) => (name: string) => Operation
  readonly reconnects: (lost: Loss) => Sum
  readonly connections: (role: Role) => (state: "connecting" | "connected") => Sum
  readonly inFlight: Sum
  readonly transmitted: Sum
  readonly received: Sum

  constructor(address: string, extraLabels: Labels) {
    const server = labelsOf(ofServer(address))
    const labelsWith = (attributes: Record<string, string>) => [...server, ...labelsOf(attributes), ...extraLabels]
    this.labels = [...server, ...extraLabels]
    this.inFlight = this.gauge(gauge(inFlight, this.labels))
    this.transmitted = this.counter(counter(io, labelsWith({ "network.io.direction": "transmit" })))
    this.received = this.counter(counter(io, labelsWith({ "network.io.direction": "receive" })))
    this.reconnects = memoized((lost) => this.counter(counter(reconnects, labelsWith({ "error.type": lost }))))
    // A counter that appears with the first loss has not risen, as far as an alert can tell.
    for (const lost of ["ConnectionLost", "ConnectFailed"] as const) this.reconnects(lost).handOverZero()
    this.connections = memoized((role) =>
      memoized((state) =>
        this.gauge(
          gauge(connections, labelsWith({ "beanstalk.connection.role": role, "beanstalk.connection.state": state }))
        )
      )
    )
    this.operations = memoized((tube) => {
      const destination = tube === undefined ? {} : { "messaging.destination.name": tube }
      return memoized((name) => {
        const own = ofConnection.has(name) ? {} : destination
        return new Operation(
          name,
          (attributes) => labelsWith({ ...attributes, ...own }),
          (metric) => this.counter(metric)
        )
      })
    })
  }

  /** The operation of a command, on the tube that it names, or else on this one. */
  operation({ name, tube }: Command<unknown, unknown>, other: TubeName | undefined): Operation {
    return this.operations(tube._tag === "Named" ? tube.name : other)(name)
  }

  handOver(): void {
    for (const sum of this.sums) sum.handOver()
  }

  /** Hands over what is counted, and all that follows at once: a leased connection may end after its client. */
  close(): void {
    this.isClosed = true
    for (const sum of this.sums) sum.becomeDirect()
  }

  private counter(metric: Metric.Metric.Counter<number>): Sum {
    return this.sum((amount) => metric.unsafeUpdate(amount, noTags))
  }

  /** The gauges of several clients of a server add up. */
  private gauge(metric: Metric.Metric.Gauge<number>): Sum {
    const sum = this.sum((amount) => metric.unsafeModify(amount, noTags))
    sum.handOverZero()
    return sum
  }

  private sum(update: (amount: number) => void): Sum {
    const sum = new Sum(update)
    if (this.isClosed) sum.becomeDirect()
    this.sums.push(sum)
    return sum
  }
}

/** The metrics of a command on a tube. */
class Operation {
  private readonly succeeded: Metric.Metric.Histogram<number>
  private readonly failed: (error: string) => Metric.Metric.Histogram<number>
  private readonly messages: Sum | undefined
  private readonly failedMessages: (error: string) => Sum | undefined

  constructor(
    name: string,
    labelsWith: (attributes: Record<string, string>) => Labels,
    sumOf: (metric: Metric.Metric.Counter<number>) => Sum
  ) {
    const type = operationTypes[name]
    const operation = {
      "messaging.operation.name": name,
      ...type === undefined ? {} : { "messaging.operation.type": type }
    }
    const durationWith = (error: Record<string, string>) => histogram(duration, labelsWith({ ...operation, ...error }))
    const messagesWith = (error: Record<string, string>) => {
      const key = type === "send" ? sent : type === "receive" ? consumed : undefined
      return key && sumOf(counter(key, labelsWith({ "messaging.operation.name": name, ...error })))
    }
    this.succeeded = durationWith({})
    this.failed = memoized((error) => durationWith({ "error.type": error }))
    this.messages = messagesWith({})
    this.failedMessages = memoized((error) => type === "send" ? messagesWith({ "error.type": error }) : undefined)
  }

  /** Counts a command that has succeeded, or failed with this error, after so many milliseconds. */
  record({ blocksFor }: Command<unknown, unknown>, error: string | undefined, milliseconds: number): void {
    // How long a reserve has waited for a job says nothing of the server.
    if (blocksFor === 0) {
      const metric = error === undefined ? this.succeeded : this.failed(error)
      metric.unsafeUpdate(milliseconds / 1000, noTags)
    }
    const messages = error === undefined ? this.messages : this.failedMessages(error)
    messages?.add(1)
  }
}

/** The commands about a connection, which have no destination, whatever tube the connection reserves from. */
const ofConnection: ReadonlySet<string> = new Set(["stats", "use", "watch", "ignore"])

/** What an operation is to OpenTelemetry, of those that it has a word for. */
const operationTypes: Readonly<Record<string, "send" | "receive" | "settle" | undefined>> = {
  put: "send",
  reserve: "receive",
  "reserve-with-timeout": "receive",
  "reserve-job": "receive",
  delete: "settle",
  release: "settle",
  bury: "settle"
}

// ---------------------------------------------------------------------------------------------------------------------
// a session
// ---------------------------------------------------------------------------------------------------------------------

/** Commands that were written together. */
interface Batch {
  readonly writtenAt: number
  unanswered: number
}

/** Reads the clock once for each write and each read, not for each command. */
class ObservedSession implements SessionObserver {
  private readonly registry: Registry
  private readonly connections: (state: "connecting" | "connected") => Sum
  private readonly tube: TubeName | undefined
  private readonly now: () => number
  private readonly batches: Array<Batch> = []
  private readAt = 0
  private state: "connecting" | "connected" | "ended" = "connecting"

  constructor(registry: Registry, role: Role, tube: TubeName | undefined, now: () => number) {
    this.registry = registry
    this.connections = registry.connections(role)
    this.tube = tube
    this.now = now
    this.connections("connecting").add(1)
  }

  onConnected(): void {
    if (this.state === "connecting") this.become("connected")
  }

  onEnd(): void {
    this.become("ended")
  }

  onWrite(commands: number, bytes: number): void {
    this.registry.inFlight.add(commands)
    this.registry.transmitted.add(bytes)
    this.batches.push({ writtenAt: this.now(), unanswered: commands })
  }

  onBytes(bytes: number): void {
    this.registry.received.add(bytes)
    this.readAt = this.now()
  }

  onReply(command: Command<unknown, unknown>, decoded: Decoded<unknown, unknown>): void {
    this.answer(command, decoded._tag === "Success" ? undefined : tagOf(decoded.error), this.readAt)
  }

  onLost(command: Command<unknown, unknown>): void {
    this.answer(command, "ConnectionLost", this.now())
  }

  private answer(command: Command<unknown, unknown>, error: string | undefined, at: number): void {
    const batch = this.batches[0]
    if (batch === undefined) return
    batch.unanswered -= 1
    if (batch.unanswered === 0) this.batches.shift()
    this.registry.inFlight.add(-1)
    this.registry.operation(command, this.tube).record(command, error, Math.max(0, at - batch.writtenAt))
  }

  private become(state: ObservedSession["state"]): void {
    if (this.state !== "ended") this.connections(this.state).add(-1)
    if (state !== "ended") this.connections(state).add(1)
    this.state = state
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------------------------------------------------

const duration = secondsKey(
  "messaging.client.operation.duration",
  "How long the server took to answer a command, in seconds; reserves that wait are left out",
  durations
)

const sent = counterKey("messaging.client.sent.messages", "{message}", "Jobs that were put, or could not be")

const consumed = counterKey("messaging.client.consumed.messages", "{message}", "Jobs that were reserved")

const connections = gaugeKey("beanstalk.client.connections", "{connection}", "Connections, by role and state")

const reconnects = counterKey(
  "beanstalk.client.reconnects",
  "{connection}",
  "Connections that were lost, and attempts that failed, before the next attempt"
)

const inFlight = gaugeKey("beanstalk.client.in_flight", "{command}", "Commands that are written and not answered")

const io = counterKey("beanstalk.client.io", "By", "Bytes that were written to and read from the server")
