/**
 * A {@link Pipeline} on a socket: writes what is queued once a tick, feeds it what arrives, and ends it when the server does not
 * reply in time. The session ends with its scope; when the pipeline ends, the socket closes.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import type { CommandError } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import * as AtOnce from "../base/atOnce.ts"
import { fromCallback } from "../base/fromCallback.ts"
import { onNextMacrotask } from "../base/macrotask.ts"
import { make as makeTimerQueue, type Timer, type TimerQueue } from "../base/timerQueue.ts"
import type { Batch, Command } from "../protocol/command.ts"
import type { Settle, Submitted } from "./pendingCommand.ts"
import { type Cancel, type Ending, Pipeline, type PipelineOptions } from "./pipeline.ts"
import * as SocketFastPath from "./socketFastPath.ts"

export interface Session {
  /** Sends a command and waits for its result. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | CommandError>
  /**
   * Sends a command without a fiber that waits for its result. `settle` is called with the result, once, and must not throw. The
   * returned function cancels the command.
   */
  readonly submit: <A, Failure>(
    command: Command<A, Failure>,
    settle: (exit: Exit.Exit<A, Failure | CommandError>) => void
  ) => Cancel
  /** The same for one of many commands with the same `settle`, which is called with `which`. */
  readonly submitOne: <A, Failure, Which>(
    command: Command<A, Failure>,
    settle: Settle<A, Failure, Which>,
    which: Which
  ) => Submitted
  /** Sends the commands of a batch, each as {@link submit} does. The returned function cancels all that are not settled. */
  readonly submitAll: <A, Failure>(batch: Batch<A, Failure>, settle: Settle<A, Failure, number>) => () => void
  /** How many replies have arrived. */
  readonly replyCount: () => number
  /** From now on, a `put` whose body is larger is not sent, and fails with `JobTooBig`. */
  readonly limitJobSize: (maxJobSize: number) => void
  /**
   * Writes what is queued, and half-closes the socket. The server executes everything, replies, and closes the connection; a
   * reserve that waits is answered with `TIMED_OUT` then. Nothing may be sent afterwards.
   */
  readonly end: Effect.Effect<void>
  /** Whether the other side ended the session while it was idle, as a proxy does. */
  readonly wasIdle: () => boolean
  /** Ends the session, for this reason. The server makes the jobs that it had reserved ready again. */
  readonly close: (ending?: Ending) => void
  /** Succeeds when the session has ended, with the reason. */
  readonly ended: Effect.Effect<Ending>
}

export interface SessionOptions
  extends Pick<PipelineOptions, "replyTimeout" | "maxInFlight" | "maxQueuedBytes" | "maxBodySize" | "observer">
{
  /** Keeps the reply deadline. Default: a timer queue of the session's own, which costs a fiber. */
  readonly timers?: TimerQueue | undefined
  /** Called when the socket is open. */
  readonly onOpen: () => void
  /** Called when the session ends, before any command fails because of it. */
  readonly onEnd: (ending: Ending) => void
}

/** For tasks at the end of this tick. `queueMicrotask` makes an async resource for each, which takes longer than the task. */
const microtask = Promise.resolve()

/**
 * How many milliseconds before the deadline the timer may fire. Setting it again for every reply would take longer than firing
 * without effect now and then.
 */
const timerSlack = 1000

/** Starts a session. Commands may be sent at once, although the socket is still being opened. */
export const makeSession = Effect.fnUntraced(function*({ onEnd, onOpen, ...options }: SessionOptions) {
  const connector = yield* Connector
  const timers = options.timers ?? (yield* makeTimerQueue)
  const ended = yield* Deferred.make<Ending>()
  let isOpen = false
  let willFlush = false
  let wasIdle = false

  const pipeline: Pipeline = new Pipeline({
    ...options,
    address: connector.address,
    server: connector.server,
    now: timers.now,
    onWritable: () => {
      if (willFlush || !isOpen) return
      willFlush = true
      // Every fiber that is runnable in this tick has run by then, and what they send leaves in one write.
      void microtask.then(flush)
    },
    onDeadline: () => setReplyTimer(),
    onEnd: (ending) => {
      timers.cancel(replyTimer)
      onEnd(ending)
      Deferred.unsafeDone(ended, Exit.succeed(ending))
    },
    trace: yield* makeTrace
  })

  /** An exception in a callback of the socket, of a microtask or of a timer would end the process: it ends the session. */
  const guarded = <A = void>(run: (input: A) => void) => (input: A): void => {
    try {
      run(input)
    } catch (cause) {
      pipeline.end({ reason: "an exception was thrown while it was written to or read from", cause })
    }
  }

  const setReplyTimer = (): void => {
    const deadline = pipeline.deadline()
    const isSet = replyTimer.position >= 0
    if (isSet && deadline >= replyTimer.deadline && deadline <= replyTimer.deadline + timerSlack) return
    timers.set(replyTimer, deadline)
  }

  const onReplyTimer = guarded(() => {
    pipeline.expire()
    setReplyTimer()
  })

  const replyTimer: Timer = {
    deadline: Number.POSITIVE_INFINITY,
    position: -1,
    // A reply that has arrived, and is unread, is read first.
    fire: () => onNextMacrotask(onReplyTimer)
  }

  const endByPeer = (ending?: Ending): void => {
    wasIdle ||= pipeline.isIdle
    if (ending === undefined) pipeline.closed()
    else pipeline.end(ending)
  }

  const receive = guarded((chunk: Uint8Array) => pipeline.receive(chunk))

  const socket = yield* connector.socket
  const { end, write } = yield* SocketFastPath.makeWriter(socket, (error) => endByPeer(lost(error)))
  yield* SocketFastPath.setReader(socket, receive)

  const flush = guarded(() => {
    willFlush = false
    const batch = pipeline.takeBatch()
    if (batch !== undefined) write(batch)
  })

  const open = Effect.sync(() => {
    isOpen = true
    onOpen()
    flush()
  })

  const running = Effect.zipRight(socket.run(receive, { onOpen: open }), Effect.sync(() => endByPeer()))
  yield* AtOnce.raceFirst(running, Deferred.await(ended)).pipe(
    Effect.onExit((exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) pipeline.end(closedHere)
        else endByPeer(lost(Cause.squash(exit.cause)))
      })
    ),
    // The error of every lost command has the reason.
    Effect.catchAllCause(() => Effect.void),
    Effect.interruptible,
    Effect.forkScoped
  )

  const submit: Session["submit"] = (command, settle) => {
    const entry = pipeline.submit(command, settle, undefined)
    return (unless) => pipeline.cancel(entry, unless)
  }

  const submitAll: Session["submitAll"] = (batch, settle) => {
    const entries = pipeline.submitAll(batch, settle)
    return () => entries.forEach((entry) => pipeline.cancel(entry))
  }

  const session: Session = {
    send: (command) => fromCallback((settle) => submit(command, settle)),
    submit,
    submitOne: (command, settle, which) => pipeline.submit(command, settle, which),
    submitAll,
    replyCount: () => pipeline.replyCount,
    limitJobSize: (maxJobSize) => {
      pipeline.maxJobSize = maxJobSize
    },
    end: Effect.suspend(() => {
      flush()
      return end
    }),
    wasIdle: () => wasIdle,
    close: (ending = closedHere) => pipeline.end(ending),
    ended: Deferred.await(ended)
  }
  return session
})

const closedHere: Ending = { reason: "it was closed on this side" }

const lost = (cause: unknown): Ending => ({ reason: innermostMessage(cause), cause })

/** The message of the innermost error: `read ECONNRESET`, and not the `An error has occurred` around it. */
export const innermostMessage = (cause: unknown): string => {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(innermostMessage).join(", ")
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause === undefined ? cause.message : innermostMessage(cause.cause)
}

/** Logs a request or reply at Trace. `undefined` if that level is off, which is decided once for a session. */
const makeTrace: Effect.Effect<((line: string) => void) | undefined> = Effect.gen(function*() {
  const level = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
  if (LogLevel.greaterThan(level, LogLevel.Trace)) return undefined
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  return (line) => {
    try {
      runFork(Effect.logTrace(line))
    } catch {
      // A logger that throws must not end the connection.
    }
  }
})
