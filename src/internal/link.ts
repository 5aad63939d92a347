/**
 * A connection that heals: whatever needs no reservation is sent on it, and when it is lost it is opened anew.
 *
 * Which session is open is plain state, changed in the very moment in which a session ends, so that nobody is ever sent to a
 * dead one. One fiber opens sessions, and sleeps between its attempts.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type CommandError, ConnectFailed, ConnectionLost } from "../BeanstalkError.ts"
import type { Command } from "../BeanstalkProtocol.ts"
import { Connector } from "../Connector.ts"
import type { ServerInfo } from "../Stats.ts"
import { type Linked, LinkedQueue } from "./linkedQueue.ts"
import { open, type Opened, type Settings } from "./opening.ts"
import type { Ending, Outcome } from "./pipeline.ts"

/** What a link is doing. */
export type State = Data.TaggedEnum<{
  Idle: {}
  Connecting: { readonly attempt: number }
  Connected: { readonly server: ServerInfo }
  Lost: Ending
  Closed: {}
}>

export const State = Data.taggedEnum<State>()

export type Lost = Data.TaggedEnum.Value<State, "Lost">

export interface LinkOptions extends Settings {
  readonly reconnect: Schedule.Schedule<unknown, Lost>
  /** In milliseconds. */
  readonly offlineTimeout: number
}

/** What a command can fail with on a link, besides its own. */
export type LinkError = CommandError | ConnectFailed

export interface Link {
  /** Sends a command as soon as there is a connection, and again on the next one where that does no harm. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | LinkError>
  /** The same for whoever wants no fiber to wait for it: `settle` is called once, and must not throw. */
  readonly submit: <A, Failure>(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | LinkError>) => void
  ) => void
  /** The server of the connection that is open, or of the next. */
  readonly server: Effect.Effect<ServerInfo, ConnectFailed>
  /** What it is doing now, and whatever it does next, until it is closed. */
  readonly changes: Stream.Stream<State>
  /** Whatever opens connections of its own is not begun any more once the link is closed. */
  readonly unlessClosed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ConnectFailed, R>
}

/** A command that waits for a session without a fiber. */
interface Waiting extends Linked<Waiting> {
  readonly deadline: number
  readonly goOn: (session: Exit.Exit<Opened, ConnectFailed>) => void
}

/** Makes a link that is closed with its scope. It opens nothing before it is used. */
export const make = Effect.fnUntraced(function*({ offlineTimeout, reconnect, ...settings }: LinkOptions) {
  const { address } = yield* Connector
  const clock = yield* Effect.clock
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const state = yield* SubscriptionRef.make<State>(State.Idle())
  const wanted = Effect.unsafeMakeLatch()
  let session: Opened | undefined
  /** Whoever waits for a session waits here, … */
  let next = promise()
  /** … and, in the order in which they came and before all that comes later, the commands that no fiber waits for. */
  const waiting = new LinkedQueue<Waiting>()
  /** The process behind the session, or behind the last: who knows a job by its id knows it from there. */
  let instance: string | undefined
  /** Why the latest attempt of this outage failed. */
  let failure: ConnectFailed | undefined
  let closed = false
  const isClosed = Exit.fail(new ConnectFailed({ address, reason: "Closed", detail: "the client is closed" }))

  /** Closed is the last word, whoever is still about to say something. */
  const become = (to: State) => SubscriptionRef.update(state, (was) => was._tag === "Closed" ? was : to)

  const now = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6

  // opening -----------------------------------------------------------------------------------------------------------

  const tellAll = (exit: Exit.Exit<Opened, ConnectFailed>): void => {
    Deferred.unsafeDone(next, exit)
    tellWaiting(exit, Number.POSITIVE_INFINITY)
  }

  /** Those whose deadline is not later. Whoever begins to wait meanwhile has to wait. */
  const tellWaiting = (exit: Exit.Exit<Opened, ConnectFailed>, until: number): void => {
    for (let left = waiting.length; left > 0; left -= 1) {
      if (waiting.head === undefined || waiting.head.deadline > until) return
      waiting.shift()?.goOn(exit)
    }
  }

  const begin = (opened: Opened): void => {
    session = opened
    instance = opened.server.id
    failure = undefined
    tellAll(Exit.succeed(opened))
  }

  const end = (): void => {
    if (session === undefined) return
    session = undefined
    next = promise()
  }

  /** Until it is needed again. Nobody is kept waiting for that. */
  const rest = Effect.suspend(() => {
    wanted.unsafeClose()
    tellAll(Exit.fail(failure ?? gaveUp(address)))
    next = promise()
    failure = undefined
    return become(State.Idle())
  })

  /** Opens a session and stays with it until it is lost. */
  const serve = (attempt: number): Effect.Effect<Lost, never, Connector> => {
    // It may be over as soon as it has begun.
    let over = false
    const onEnd = () => {
      over = true
      end()
    }
    const begun = (opened: Opened) =>
      Effect.suspend(() => {
        if (over) return Effect.void
        begin(opened)
        return Effect.zipRight(
          become(State.Connected({ server: opened.server })),
          tellOfConnection(opened.server, attempt)
        )
      })
    return open(settings, onEnd).pipe(
      Effect.tap(begun),
      Effect.flatMap((opened) => opened.ended),
      Effect.scoped,
      // Whatever a connector throws, or interrupts, is only another reason to try again.
      Effect.matchCause({
        onSuccess: State.Lost,
        onFailure: (cause) => {
          failure = toConnectFailed(cause, address)
          return State.Lost({ reason: failure.message, cause: failure })
        }
      })
    )
  }

  /** Tries until the schedule is done, beginning it anew with every session that was lost. */
  const heal = Effect.gen(function*() {
    const schedule = yield* Schedule.driver(reconnect)
    let attempt = 0
    let lost: Lost
    do {
      attempt += 1
      yield* become(State.Connecting({ attempt }))
      lost = yield* serve(attempt)
      yield* become(lost)
      if (!(lost.cause instanceof ConnectFailed)) {
        attempt = 0
        yield* schedule.reset
      }
      yield* tellOfLoss(lost)
      // Before the first attempt too: clients do not all meet a server at once that is back.
    } while (yield* Effect.isSuccess(schedule.next(lost)))
  })

  yield* wanted.await.pipe(
    Effect.zipRight(heal),
    Effect.catchAllCause((cause) =>
      tell(Effect.logError(`The schedule of when to reconnect to beanstalkd at ${address} threw: it is done`, cause))
    ),
    Effect.zipRight(rest),
    Effect.forever,
    Effect.interruptible,
    Effect.forkScoped
  )

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      tellAll(isClosed)
      return become(State.Closed())
    })
  )

  // telling -----------------------------------------------------------------------------------------------------------

  /** Whether a loss has been told and its end has not. */
  let down = false

  /** Only the first is news: a server that is away for the night must not fill the log. */
  const tellOfLoss = ({ cause, reason }: Lost) =>
    Effect.suspend(() => {
      const log = down ? Effect.logDebug : Effect.logWarning
      down = true
      return tell(
        log(cause instanceof ConnectFailed ? reason : `The connection to beanstalkd at ${address} is lost: ${reason}.`)
      )
    })

  const tellOfConnection = ({ id, version }: ServerInfo, attempt: number) =>
    Effect.suspend(() => {
      const log = down ? Effect.logInfo : Effect.logDebug
      down = false
      return tell(log(`Connected to beanstalkd ${version} at ${address} (instance ${id}, attempt ${attempt}).`))
    })

  // sending -----------------------------------------------------------------------------------------------------------

  /** The session that is open, or the next, if it comes before the deadline. */
  const sessionBefore = (deadline: number): Effect.Effect<Opened, ConnectFailed> =>
    Effect.suspend(() => {
      if (session !== undefined) return Effect.succeed(session)
      if (closed) return isClosed
      wanted.unsafeOpen()
      // It ends in time in a finalizer, too.
      return Effect.timeoutFail(Effect.interruptible(Deferred.await(next)), {
        duration: deadline - now(),
        onTimeout: () => failure ?? offlineForTooLong(address, offlineTimeout)
      })
    })

  const sendBefore = <A, Failure>(
    command: Command<A, Failure>,
    { deadline, meantFor }: { readonly deadline: number; readonly meantFor: string | undefined }
  ): Effect.Effect<A, Failure | LinkError> =>
    Effect.flatMap(
      sessionBefore(deadline),
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

  let expiring = false

  /** Keeps the time of those who wait, which is up for the first of them first. */
  const expire = Effect.whileLoop({
    while: () => expiring = waiting.length > 0,
    body: () => Effect.exit(sessionBefore(waiting.head?.deadline ?? now())),
    step: (exit) => tellWaiting(exit, now())
  })

  const wait = (deadline: number, goOn: Waiting["goOn"]): void => {
    if (closed) return goOn(isClosed)
    waiting.push({ deadline, goOn, previous: undefined, next: undefined })
    // Not in the scope, whose end would interrupt it: it hears of that end as everybody does.
    if (!expiring) runFork(expire)
  }

  const submitBefore = <A, Failure>(
    command: Command<A, Failure>,
    { deadline, meantFor }: { readonly deadline: number; readonly meantFor: string | undefined },
    settle: (exit: Exit.Exit<A, Failure | LinkError>) => void
  ): void =>
    wait(deadline, (exit) => {
      if (Exit.isFailure(exit)) return settle(Exit.failCause(exit.cause))
      if (meansAnother(command, meantFor, exit.value.server)) return settle(Exit.fail(lostItsServer(command, address)))
      exit.value.submit(command, (outcome) => {
        if (outcome._tag === "Failure" && maySendAgain(command, outcome.error) && now() < deadline) {
          submitBefore(command, { deadline, meantFor }, settle)
        } else settle(toExit(outcome))
      })
    })

  const link: Link = {
    send: (command) =>
      Effect.suspend(() => {
        const meantFor = instance
        return session === undefined
          ? sendLater(command, meantFor)
          : Effect.catchAll(
            session.send(command),
            (error) => maySendAgain(command, error) ? sendLater(command, meantFor) : Effect.fail(error)
          )
      }),
    submit: (command, settle) => {
      const meantFor = instance
      const later = () => submitBefore(command, { deadline: now() + offlineTimeout, meantFor }, settle)
      if (session === undefined) return later()
      session.submit(command, (outcome) => {
        if (outcome._tag === "Failure" && maySendAgain(command, outcome.error)) later()
        else settle(toExit(outcome))
      })
    },
    server: Effect.suspend(() => Effect.map(sessionBefore(now() + offlineTimeout), ({ server }) => server)),
    changes: Stream.takeUntil(state.changes, State.$is("Closed")),
    unlessClosed: (self) => Effect.zipRight(Effect.suspend(() => closed ? isClosed : Effect.void), self)
  }
  return link
})

const promise = () => Deferred.unsafeMake<Opened, ConnectFailed>(FiberId.none)

/** A logger that throws is no reason to lose a connection. */
const tell = (log: Effect.Effect<void>) => Effect.catchAllCause(log, () => Effect.void)

const toConnectFailed = (cause: Cause.Cause<ConnectFailed>, address: string): ConnectFailed => {
  const error = Cause.squash(cause)
  return error instanceof ConnectFailed
    ? error
    : new ConnectFailed({ address, reason: "Unreachable", detail: String(error), cause: error })
}

/** Whether it was lost with a connection in a way in which sending it once more cannot do anything twice. */
const maySendAgain = (command: Command<unknown, unknown>, error: unknown): boolean =>
  error instanceof ConnectionLost && (error.outcome === "NotSent" || command.looks)

/** Ids are a server's own: after a restart this number may be another job, which must not suffer for it. */
const meansAnother = (
  command: Command<unknown, unknown>,
  meantFor: string | undefined,
  { id }: ServerInfo
): boolean => command.job !== undefined && !command.looks && meantFor !== undefined && meantFor !== id

const lostItsServer = (command: Command<unknown, unknown>, address: string) =>
  new ConnectionLost({
    command: command.name,
    address,
    outcome: "NotSent",
    reason: "another process answers there now, in which this id may denote another job"
  })

const gaveUp = (address: string) =>
  new ConnectFailed({ address, reason: "Unreachable", detail: "the connection was lost, and is not to be made again" })

const offlineForTooLong = (address: string, offlineTimeout: number) =>
  new ConnectFailed({
    address,
    reason: "TimedOut",
    detail: `no connection came about within ${offlineTimeout / 1000} seconds`
  })

const toExit = <A, Failure>(outcome: Outcome<A, Failure>): Exit.Exit<A, Failure | CommandError> => {
  switch (outcome._tag) {
    case "Success":
      return Exit.succeed(outcome.value)
    case "Failure":
      return Exit.fail(outcome.error)
    case "Defect":
      return Exit.die(outcome.defect)
  }
}
