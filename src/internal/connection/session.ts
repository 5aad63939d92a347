/**
 * A pipeline on a socket: what may be written leaves at the end of the tick, what is read goes in as it comes, and the time
 * is watched. The scope's end is the pipeline's, and the pipeline's end closes the socket.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import type { CommandError } from "../../BeanstalkError.ts"
import type { Command } from "../../BeanstalkProtocol.ts"
import { Connector } from "../../Connector.ts"
import { onNextMacrotask } from "../base/macrotask.ts"
import { make as makeTimerQueue, type Timer, type TimerQueue } from "../base/timerQueue.ts"
import { type Ending, Pipeline, type PipelineOptions } from "./pipeline.ts"
import * as SocketFastPath from "./socketFastPath.ts"

export interface Session {
  /** Sends a command and waits for its answer. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | CommandError>
  /**
   * Sends a command for whoever wants no fiber to wait for it: `settle` is called once, and must not throw. What comes back
   * takes the command back, if it is not written yet; what is written runs its course unheard.
   */
  readonly submit: <A, Failure>(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | CommandError>) => void
  ) => () => void
  /** How many replies have come. */
  readonly replyCount: () => number
  /** From now on, a `put` whose body is larger fails with `JobTooBig`, and is not sent. */
  readonly limitBodies: (maxJobSize: number) => void
  /** Ends it at once: what it had reserved is others' then. */
  readonly close: () => void
  /** Succeeds when the session is over, with why. */
  readonly ended: Effect.Effect<Ending>
}

export interface SessionOptions
  extends Pick<PipelineOptions, "replyTimeout" | "maxInFlight" | "maxQueuedBytes" | "maxBodySize">
{
  /** What wakes it when the server is silent for too long: that of whoever has many sessions, or its own. */
  readonly heart?: TimerQueue | undefined
  /** Called when the socket has been opened. */
  readonly onOpen: () => void
  /** Called when the session is over, before anybody can know it from a command that was lost. */
  readonly onEnd: (ending: Ending) => void
}

/** What is to be done later in this tick. `queueMicrotask` makes an async resource of each, which takes longer than the task. */
const microtask = Promise.resolve()

/** So many milliseconds before the deadline it may be looked at in vain: that is cheaper than to move it with each reply. */
const indifference = 1000

/** Starts a session that ends with its scope. The socket is still being opened then; commands may be sent already. */
export const makeSession = Effect.fnUntraced(function*({ onEnd, onOpen, ...options }: SessionOptions) {
  const connector = yield* Connector
  const heart = options.heart ?? (yield* makeTimerQueue)
  const ended = yield* Deferred.make<Ending>()
  let opened = false
  let flushing = false

  const pipeline: Pipeline = new Pipeline({
    ...options,
    address: connector.address,
    now: heart.now,
    onWritable: () => {
      if (flushing || !opened) return
      flushing = true
      // All that is runnable in this tick has run by then: whatever it sends leaves in one piece.
      void microtask.then(flush)
    },
    onDeadline: () => watch(),
    onEnd: (ending) => {
      heart.cancel(silence)
      onEnd(ending)
      Deferred.unsafeDone(ended, Exit.succeed(ending))
    },
    trace: yield* tracing
  })

  // Nothing may be thrown into a callback of the socket, a microtask or a turn: it would be the end of the process.
  const thrown = (cause: unknown): void =>
    pipeline.end({ reason: "something was thrown while it was written to or read from", cause })

  const silence: Timer = {
    deadline: Number.POSITIVE_INFINITY,
    position: -1,
    fire: () =>
      onNextMacrotask(() => {
        try {
          pipeline.expire()
          watch()
        } catch (cause) {
          thrown(cause)
        }
      })
  }

  const watch = (): void => {
    const deadline = pipeline.deadline()
    const isWatched = silence.position >= 0
    if (!isWatched || deadline < silence.deadline || deadline > silence.deadline + indifference) {
      heart.set(silence, deadline)
    }
  }

  const receive = (chunk: Uint8Array): void => {
    try {
      pipeline.receive(chunk)
    } catch (cause) {
      thrown(cause)
    }
  }

  const socket = yield* connector.socket
  const write = yield* SocketFastPath.makeWriter(socket, (error) => pipeline.end(lost(error)))
  yield* SocketFastPath.setReader(socket, receive)

  const flush = (): void => {
    flushing = false
    try {
      const batch = pipeline.takeBatch()
      if (batch !== undefined) write(batch)
    } catch (cause) {
      thrown(cause)
    }
  }

  const opening = Effect.sync(() => {
    opened = true
    onOpen()
    flush()
  })

  const reading = Effect.andThen(socket.run(receive, { onOpen: opening }), Effect.sync(() => pipeline.closed()))

  yield* reading.pipe(
    Effect.raceFirst(Deferred.await(ended)),
    Effect.onExit((exit) => Effect.sync(() => pipeline.end(ending(exit)))),
    // Every command that was lost tells of it: there is nobody else to tell.
    Effect.catchAllCause(() => Effect.void),
    Effect.interruptible,
    Effect.forkScoped
  )

  const session: Session = {
    send: (command) => send(pipeline, command),
    submit: (command, settle) => {
      const entry = pipeline.submit(command, settle)
      return () => pipeline.cancel(entry)
    },
    replyCount: () => pipeline.replyCount,
    limitBodies: (maxJobSize) => {
      pipeline.maxJobSize = maxJobSize
    },
    close: () => pipeline.end(closedHere),
    ended: Deferred.await(ended)
  }
  return session
})

const send = <A, Failure>(
  pipeline: Pipeline,
  command: Command<A, Failure>
): Effect.Effect<A, Failure | CommandError> =>
  // Uninterruptible from the submission on, so that there is no moment in which a fiber can be gone without `cancel`.
  Effect.uninterruptibleMask((restore) => {
    let settled: Exit.Exit<A, Failure | CommandError> | undefined
    let resume: ((exit: Exit.Exit<A, Failure | CommandError>) => void) | undefined
    const entry = pipeline.submit(command, (exit) => {
      settled = exit
      resume?.(exit)
    })
    const answer = Effect.async<A, Failure | CommandError>((callback) => {
      resume = callback
      if (settled !== undefined) callback(settled)
    })
    return Effect.catchAllCause(restore(answer), (cause) => {
      pipeline.cancel(entry)
      return Effect.failCause(cause)
    })
  })

/** Why the session is over, when it was not the pipeline that ended it. */
const ending = (exit: Exit.Exit<unknown, Socket.SocketError>): Ending =>
  Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)
    ? closedHere
    : lost(Cause.squash(exit.cause))

const closedHere: Ending = { reason: "it was closed on this side" }

const lost = (cause: unknown): Ending => ({ reason: innermostMessage(cause), cause })

/** The innermost of what went wrong: `read ECONNRESET` says more than that there was an error. */
export const innermostMessage = (cause: unknown): string => {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(innermostMessage).join(", ")
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause === undefined ? cause.message : innermostMessage(cause.cause)
}

/** At Trace, every line that is sent and received; nothing at all otherwise, decided once for a session. */
const tracing: Effect.Effect<((line: string) => void) | undefined> = Effect.gen(function*() {
  const level = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
  if (LogLevel.greaterThan(level, LogLevel.Trace)) return undefined
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  return (line) => {
    try {
      runFork(Effect.logTrace(line))
    } catch {
      // A logger that throws is no reason to lose a connection.
    }
  }
})
