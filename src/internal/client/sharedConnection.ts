/** The connection that all commands without a reservation share. It opens on first use, and again when it is lost. */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CommandError, ConnectFailed } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import type { Health, Limits } from "../../Health.ts"
import type { ServerInfo } from "../../Stats.ts"
import { fromCallback } from "../base/fromCallback.ts"
import { healthOf } from "../base/healthOf.ts"
import { annotateLogs } from "../base/logging.ts"
import { LoopLateness } from "../base/loopLateness.ts"
import * as ParentSpan from "../base/parentSpan.ts"
import { make as makeTimerQueue } from "../base/timerQueue.ts"
import { connectOrFail, type ConnectSettings, type ServerSession } from "../connection/connect.ts"
import { observedBy } from "../connection/observer.ts"
import type { Command } from "../protocol/command.ts"
import type { ClientMetrics } from "./clientMetrics.ts"
import * as ConnectionLog from "./connectionLog.ts"
import { type Lost, State } from "./connectionState.ts"
import { CurrentSession, type CurrentSessionOptions } from "./currentSession.ts"
import { attempts, perOutage } from "./reconnect.ts"
import { makeSubmit, makeSubmitNow, makeSubmitOne, type Submit, type SubmitOne } from "./submit.ts"

export interface SharedConnectionOptions extends ConnectSettings, Pick<CurrentSessionOptions, "offlineTimeout"> {
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  readonly metrics: ClientMetrics | undefined
}

export interface SharedConnection {
  /** Sends a command by {@link submit}, and waits for its result. An interruption cancels the command. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | CommandError | ConnectFailed>
  readonly submit: Submit
  readonly submitOne: SubmitOne
  readonly submitNow: Submit
  /** Opens the connection unless it is open, and does not wait for it. */
  readonly connect: () => void
  /** The server of the session that is open; `undefined` while there is none. */
  readonly connectedTo: () => ServerInfo | undefined
  /** The server of the session that is open, or of the next one. */
  readonly server: Effect.Effect<ServerInfo, ConnectFailed>
  /** The present state, and every later one, until `Closed`. */
  readonly changes: Stream.Stream<State>
  readonly health: (limits?: Limits) => Effect.Effect<Health>
  /** Fails once the client is closed. */
  readonly unlessClosed: Effect.Effect<void, ConnectFailed>
}

/** The shared connection of a client, closed with the Scope. It opens nothing before it is used. */
export const make = Effect.fnUntraced(function*(
  { metrics, offlineTimeout, reconnect, ...settings }: SharedConnectionOptions
) {
  const connector = yield* Connector
  const { address } = connector
  const timers = yield* makeTimerQueue
  const current = new CurrentSession({ address, offlineTimeout, timers, metrics })
  const state = yield* SubscriptionRef.make<State>(State.Idle())
  /** `Closed` is final: the loop may be about to change the state when the Scope is closed. */
  const become = (to: State) => SubscriptionRef.update(state, (was) => was._tag === "Closed" ? was : to)

  const withTimers = { ...settings, session: { ...settings.session, timers } }
  const open = Effect.suspend(() => {
    current.startAttempt()
    return connectOrFail(connector, withTimers, (ending) => current.end(ending)).pipe(
      ParentSpan.provide(current.waitingSpan),
      observedBy(metrics?.observe("shared"))
    )
  })

  yield* connectWhenWanted({ address, reconnect, metrics, open, current, become }).pipe(
    annotateLogs("BeanstalkClient"),
    Effect.interruptible,
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      current.close()
      return become(State.Closed())
    })
  )

  const submitOne = makeSubmitOne(current, timers.now)
  const submit = makeSubmit(submitOne)
  const shared: SharedConnection = {
    submit,
    submitOne,
    submitNow: makeSubmitNow(current),
    connect: () => current.wanted.unsafeOpen(),
    connectedTo: () => current.session?.server,
    send: (command) => fromCallback((settle) => submit(command, settle)),
    server: Effect.map(
      Effect.suspend(() => current.session === undefined ? awaitNext(current) : Effect.succeed(current.session)),
      ({ server }) => server
    ),
    changes: Stream.takeUntil(state.changes, State.$is("Closed")),
    health: healthOf({ now: timers.now, lateness: new LoopLateness(timers), trouble: () => current.trouble }),
    unlessClosed: current.unlessClosed
  }
  return shared
})

const awaitNext = (current: CurrentSession): Effect.Effect<ServerSession, ConnectFailed> =>
  fromCallback((settle) => current.awaitNext(current.deadline(), settle, ParentSpan.ofCallingFiber()))

interface LoopOptions {
  readonly address: string
  readonly reconnect: SharedConnectionOptions["reconnect"]
  readonly metrics: SharedConnectionOptions["metrics"]
  readonly open: Effect.Effect<ServerSession, ConnectFailed, Scope.Scope>
  readonly current: CurrentSession
  readonly become: (state: State) => Effect.Effect<void>
}

/** Whenever a connection is wanted, opens one, and reconnects when it is lost, until the Schedule is done. */
const connectWhenWanted = (
  { address, become, current, metrics, open, reconnect }: LoopOptions
): Effect.Effect<never> => {
  const log = ConnectionLog.make(address)

  const openNext = (attempt: number) =>
    Effect.tapError(
      Effect.zipRight(become(State.Connecting({ attempt })), open),
      (failure) => Effect.sync(() => current.attemptFailed(failure))
    )

  const untilLost = (session: ServerSession) =>
    Effect.gen(function*() {
      if (current.begin(session)) yield* become(State.Connected({ server: session.server }))
      return yield* Effect.flip(session.ended)
    })

  const untilDone = Effect.suspend(() =>
    attempts({ log, metrics, open: openNext, use: untilLost }).pipe(
      Effect.tapError(({ lost }) => become(lost)),
      Effect.retry(perOutage(reconnect))
    )
  )

  return current.wanted.await.pipe(
    Effect.zipRight(untilDone),
    // The Schedule is done.
    Effect.catchAll(() => Effect.void),
    Effect.catchAllCause(log.scheduleThrew),
    Effect.zipRight(Effect.suspend(() => {
      current.giveUp()
      return become(State.Idle())
    })),
    Effect.forever
  )
}
