/** The connection that all commands without a reservation share. It opens on first use, and again when it is lost. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type CommandError, type ConnectFailed, ConnectionLost } from "../../BeanstalkError.ts"
import type { Command } from "../../BeanstalkProtocol.ts"
import { Connector } from "../../Connector.ts"
import type { ServerInfo } from "../../Stats.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import { connect, type ConnectSettings, type ServerSession } from "../connection/connect.ts"
import * as ConnectionLog from "./connectionLog.ts"
import { type Lost, State } from "./connectionState.ts"
import { Current, type CurrentOptions } from "./current.ts"
import { asConnectFailed, attempts, perOutage } from "./reconnect.ts"

export interface SharedConnectionOptions extends ConnectSettings, Pick<CurrentOptions, "offlineTimeout"> {
  readonly reconnect: Schedule.Schedule<unknown, Lost>
}

/** How long a command may wait, and which process it was meant for. */
interface Patience {
  readonly deadline: number
  readonly meantFor: string | undefined
}

/** What a command can fail with on a link, besides its own. */
export type SharedConnectionError = CommandError | ConnectFailed

export interface SharedConnection {
  /** Sends a command as soon as there is a connection, and again on the next one where that does no harm. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | SharedConnectionError>
  /**
   * The same for whoever wants no fiber to wait for it: `settle` is called once, and must not throw. What comes back takes
   * the command back, wherever it waits; what is written runs its course unheard.
   */
  readonly submit: <A, Failure>(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | SharedConnectionError>) => void
  ) => () => void
  /** The server of the connection that is open, or of the next. */
  readonly server: Effect.Effect<ServerInfo, ConnectFailed>
  /** What it is doing now, and whatever it does next, until it is closed. */
  readonly changes: Stream.Stream<State>
  /** Whatever opens connections of its own is not begun any more once the link is closed. */
  readonly unlessClosed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ConnectFailed, R>
}

/** The shared connection of a client, closed with the Scope. It opens nothing before it is used. */
export const make = Effect.fnUntraced(function*(options: SharedConnectionOptions) {
  const connector = yield* Connector
  const { address } = connector
  const { offlineTimeout } = options
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const now = yield* monotonicMillis
  // Not in the scope, whose end would interrupt it: it hears of that end as everybody does.
  const current = new Current({ address, offlineTimeout, now, runFork })
  const state = yield* SubscriptionRef.make<State>(State.Idle())
  /** `Closed` is final: the loop may still be about to change the state when the Scope is closed. */
  const become = (to: State) => SubscriptionRef.update(state, (was) => was._tag === "Closed" ? was : to)

  yield* Effect.forkScoped(Effect.interruptible(keepConnected(options, current, become)))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      current.close()
      return become(State.Closed())
    })
  )

  const sendBefore = <A, Failure>(
    command: Command<A, Failure>,
    { deadline, meantFor }: Patience
  ): Effect.Effect<A, Failure | SharedConnectionError> =>
    Effect.flatMap(
      current.within(deadline - now()),
      (opened) =>
        meansAnother(command, meantFor, opened.server) ? lostItsServer(command, address) : Effect.catchAll(
          opened.send(command),
          (error) =>
            maySendAgain(command, error) && now() < deadline
              ? sendBefore(command, { deadline, meantFor })
              : Effect.fail(error)
        )
    )

  const sendLater = <A, Failure>(command: Command<A, Failure>, meantFor: string | undefined) =>
    Effect.suspend(() => sendBefore(command, { deadline: now() + offlineTimeout, meantFor }))

  /** Submits to a session, and once more to the next if it was lost in a way that allows it. */
  const submitTo = <A, Failure>(
    session: ServerSession,
    command: Command<A, Failure>,
    patience: () => Patience,
    settle: (exit: Exit.Exit<A, Failure | SharedConnectionError>) => void
  ): () => void => {
    let again: (() => void) | undefined
    const takeBack = session.submit(command, (exit) => {
      if (Exit.isSuccess(exit) || !maySendAgain(command, Cause.squash(exit.cause))) return settle(exit)
      const { deadline, meantFor } = patience()
      if (now() < deadline) again = submitBefore(command, { deadline, meantFor }, settle)
      else settle(exit)
    })
    return () => (again ?? takeBack)()
  }

  const submitBefore = <A, Failure>(
    command: Command<A, Failure>,
    patience: Patience,
    settle: (exit: Exit.Exit<A, Failure | SharedConnectionError>) => void
  ): () => void => {
    let takeBack: (() => void) | undefined
    const stopWaiting = current.wait(patience.deadline, (next) => {
      if (Exit.isFailure(next)) return settle(Exit.failCause(next.cause))
      if (meansAnother(command, patience.meantFor, next.value.server)) {
        return settle(Exit.fail(lostItsServer(command, address)))
      }
      takeBack = submitTo(next.value, command, () => patience, settle)
    })
    return () => (takeBack ?? stopWaiting)()
  }

  const shared: SharedConnection = {
    send: (command) =>
      Effect.suspend(() => {
        const { instance, session } = current
        return session === undefined
          ? sendLater(command, instance)
          : Effect.catchAll(
            session.send(command),
            (error) => maySendAgain(command, error) ? sendLater(command, instance) : Effect.fail(error)
          )
      }),
    submit: (command, settle) => {
      const { instance, session } = current
      const patience = (): Patience => ({ deadline: now() + offlineTimeout, meantFor: instance })
      return session === undefined
        ? submitBefore(command, patience(), settle)
        : submitTo(session, command, patience, settle)
    },
    server: Effect.map(current.within(offlineTimeout), ({ server }) => server),
    changes: Stream.takeUntil(state.changes, State.$is("Closed")),
    unlessClosed: (self) => Effect.zipRight(current.unlessClosed, self)
  }
  return shared
})

/** Whenever a connection is wanted, opens one, and others in its place, until the Schedule is done. */
const keepConnected = Effect.fnUntraced(function*(
  { reconnect, ...settings }: SharedConnectionOptions,
  current: Current,
  become: (state: State) => Effect.Effect<void>
) {
  const connector = yield* Connector
  const { address } = connector
  const log = ConnectionLog.make(address)

  const openNext = (attempt: number) =>
    become(State.Connecting({ attempt })).pipe(
      Effect.zipRight(Effect.suspend(() => {
        current.startAttempt()
        return connect(settings, () => current.end())
      })),
      Effect.catchAllCause((cause) => Effect.fail(asConnectFailed(cause, address))),
      Effect.tapError((failure) => Effect.sync(() => current.fail(failure))),
      Effect.provideService(Connector, connector)
    )

  const stayConnected = (session: ServerSession) =>
    Effect.suspend(() => current.begin(session) ? become(State.Connected({ server: session.server })) : Effect.void)
      .pipe(
        Effect.zipRight(Effect.flip(session.ended))
      )

  const connected = Effect.suspend(() =>
    attempts({ log, open: openNext, use: stayConnected }).pipe(
      Effect.tapError(({ lost }) => become(lost)),
      Effect.retry(perOutage(reconnect))
    )
  )

  return yield* current.wanted.await.pipe(
    Effect.zipRight(connected),
    // The Schedule is done, …
    Effect.catchAll(() => Effect.void),
    // … or has thrown.
    Effect.catchAllCause(log.scheduleThrew),
    Effect.zipRight(Effect.suspend(() => {
      current.rest()
      return become(State.Idle())
    })),
    Effect.forever
  )
})

/** Whether it was lost with a connection in a way in which sending it once more cannot do anything twice. */
const maySendAgain = (command: Command<unknown, unknown>, error: unknown): boolean =>
  error instanceof ConnectionLost && (error.outcome === "NotSent" || command.readOnly)

/** Ids are a server's own: after a restart this number may be another job, which must not suffer for it. */
const meansAnother = (
  command: Command<unknown, unknown>,
  meantFor: string | undefined,
  { id }: ServerInfo
): boolean => command.job !== undefined && !command.readOnly && meantFor !== undefined && meantFor !== id

const lostItsServer = (command: Command<unknown, unknown>, address: string) =>
  new ConnectionLost({
    command: command.name,
    address,
    outcome: "NotSent",
    reason: "another process answers there now, in which this id may denote another job"
  })
