/**
 * The reconnect loop of every connection that is replaced when it is lost: the shared connection of a client, and the
 * lanes of a worker.
 *
 * ```
 * attempts({ open, log, use }).pipe(Effect.retry(perOutage(reconnect)))
 * ```
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { ConnectFailed } from "../../BeanstalkError.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import type { ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import type { ClientMetrics } from "./clientMetrics.ts"
import type { ConnectionLog } from "./connectionLog.ts"
import { type Lost, State } from "./connectionState.ts"

/** An attempt that could not connect, or whose session was lost. */
export interface Disconnected {
  readonly lost: Lost
  /** Whether the session proved that the server was available: the outage before it, if there was one, is over. */
  readonly wasHealthy: boolean
  /** Whether no command was affected: the session was healthy, and idle when the other side ended it. */
  readonly wasIdle: boolean
}

export interface AttemptOptions<A, R> {
  /** Opens a session that is closed with the Scope. The attempts of an outage are numbered from 1. */
  readonly open: (attempt: number) => Effect.Effect<ServerSession, ConnectFailed, Scope.Scope>
  /** Uses the session. It must fail, with the reason, once the session is lost. */
  readonly use: (session: ServerSession) => Effect.Effect<A, Ending, R>
  readonly log: ConnectionLog
  readonly metrics: ClientMetrics | undefined
}

/**
 * One attempt: opens a session, uses it, and succeeds with the result of `use`. It numbers its runs, so that each reconnect
 * loop needs its own.
 */
export const attempts = <A, R>(
  { log, metrics, open, use }: AttemptOptions<A, R>
): Effect.Effect<A, Disconnected, R> => {
  let attempt = 0

  const connect = Effect.suspend(() => {
    attempt += 1
    return Effect.mapError(open(attempt), (cause) => disconnected({ reason: cause.message, cause }))
  })

  const onDisconnect = ({ lost, wasHealthy, wasIdle }: Disconnected) => {
    if (wasHealthy) {
      attempt = 0
      log.outageEnded()
    }
    metrics?.onReconnect(lost.cause instanceof ConnectFailed ? "ConnectFailed" : "ConnectionLost")
    return log.lost(lost, wasIdle)
  }

  return Effect.scopedWith((scope) =>
    Effect.gen(function*() {
      const session = yield* Scope.extend(connect, scope)
      const isHealthy = yield* healthOf(session)
      yield* log.connected(session.server, attempt)
      return yield* Effect.mapError(
        use(session),
        (ending) => disconnected(ending, isHealthy(ending), session.wasIdle())
      )
    })
  ).pipe(Effect.tapError(onDisconnect))
}

const disconnected = (ending: Ending, wasHealthy = false, wasIdle = false): Disconnected => ({
  lost: State.Lost(ending),
  wasHealthy,
  wasIdle: wasHealthy && wasIdle
})

/**
 * Whether a session that has ended did what it was opened for, or answered more than its handshake if that is not known, or lived
 * for 5 seconds. A server that completes the handshake and then closes the connection, again and again, is as unavailable as one
 * that refuses it.
 */
const healthOf = (session: ServerSession): Effect.Effect<(ending: Ending) => boolean> =>
  Effect.map(monotonicMillis, (now) => {
    const answered = session.replyCount()
    const openedAt = now()
    return ({ hasWorked = session.replyCount() > answered, wasRefused = false }) =>
      hasWorked || (!wasRefused && now() - openedAt >= 5000)
  })

/** Begins a Schedule anew for each outage. Its delay also precedes the first attempt of an outage. */
export const perOutage = <A>(schedule: Schedule.Schedule<A, Lost>): Schedule.Schedule<A, Disconnected> =>
  Schedule.makeWithState(
    schedule.initial,
    (now, { lost, wasHealthy }: Disconnected, state) => schedule.step(now, lost, wasHealthy ? schedule.initial : state)
  )

/**
 * A pause after an error, before what failed is tried again: under the Schedule, from its beginning, and of 5 seconds once the
 * Schedule is done or has thrown.
 */
export const pauses = (
  schedule: Schedule.Schedule<unknown, Lost>
): Effect.Effect<(error: Error) => Effect.Effect<void>> =>
  Effect.map(
    Schedule.driver(schedule),
    (driver) => (cause) =>
      Effect.catchAllCause(
        Effect.asVoid(driver.next(State.Lost({ reason: cause.message, cause }))),
        () => Effect.sleep("5 seconds")
      )
  )

/** Full jitter: with 200 clients, a restarted server does not get all connections at once. */
export const defaultReconnect = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("5 seconds")),
  Schedule.jitteredWith({ min: 0, max: 1 })
)
