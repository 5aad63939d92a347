/** A connection that heals: whatever needs no reservation is sent on it, and when it is lost it is opened anew. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type CommandError, type ConnectFailed, ConnectionLost } from "../../BeanstalkError.ts"
import type { Command } from "../../BeanstalkProtocol.ts"
import { Connector } from "../../Connector.ts"
import type { ServerInfo } from "../../Stats.ts"
import { monotonicMillis } from "../base/monotonicClock.ts"
import type { ServerSession } from "../connection/connect.ts"
import { Current, type CurrentOptions } from "./current.ts"
import { become, heal, type HealingOptions, State } from "./reconnect.ts"

export interface LinkOptions extends HealingOptions, Pick<CurrentOptions, "offlineTimeout"> {}

/** How long a command may wait, and which process it was meant for. */
interface Patience {
  readonly deadline: number
  readonly meantFor: string | undefined
}

/** What a command can fail with on a link, besides its own. */
export type LinkError = CommandError | ConnectFailed

export interface Link {
  /** Sends a command as soon as there is a connection, and again on the next one where that does no harm. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | LinkError>
  /**
   * The same for whoever wants no fiber to wait for it: `settle` is called once, and must not throw. What comes back takes
   * the command back, wherever it waits; what is written runs its course unheard.
   */
  readonly submit: <A, Failure>(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | LinkError>) => void
  ) => () => void
  /** The server of the connection that is open, or of the next. */
  readonly server: Effect.Effect<ServerInfo, ConnectFailed>
  /** What it is doing now, and whatever it does next, until it is closed. */
  readonly changes: Stream.Stream<State>
  /** Whatever opens connections of its own is not begun any more once the link is closed. */
  readonly unlessClosed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ConnectFailed, R>
}

/** Makes a link that is closed with its scope. It opens nothing before it is used. */
export const make = Effect.fnUntraced(function*({ offlineTimeout, ...options }: LinkOptions) {
  const { address } = yield* Connector
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const now = yield* monotonicMillis
  // Not in the scope, whose end would interrupt it: it hears of that end as everybody does.
  const current = new Current({ address, offlineTimeout, now, runFork })
  const state = yield* SubscriptionRef.make<State>(State.Idle())

  yield* Effect.forkScoped(Effect.interruptible(heal({ current, state }, options)))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      current.close()
      return become(state, State.Closed())
    })
  )

  const sendBefore = <A, Failure>(
    command: Command<A, Failure>,
    { deadline, meantFor }: Patience
  ): Effect.Effect<A, Failure | LinkError> =>
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
    settle: (exit: Exit.Exit<A, Failure | LinkError>) => void
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
    settle: (exit: Exit.Exit<A, Failure | LinkError>) => void
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

  const link: Link = {
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
  return link
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
