/**
 * A pipeline on a socket: three fibers read, write and watch the time for as long as the scope is open and the pipeline
 * lasts. When either ends, the other does.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import { constTrue, constVoid } from "effect/Function"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import type { CommandError } from "../BeanstalkError.ts"
import type { Command } from "../BeanstalkProtocol.ts"
import { Connector } from "../Connector.ts"
import { type Ending, type Outcome, Pipeline, type PipelineOptions } from "./pipeline.ts"
import { Signal } from "./signal.ts"

export interface Session {
  /** Sends a command and waits for its answer. */
  readonly send: <A, Failure>(command: Command<A, Failure>) => Effect.Effect<A, Failure | CommandError>
  /** Whether the socket has been opened, whatever came after. */
  readonly wasOpened: () => boolean
}

export type SessionOptions = Pick<
  PipelineOptions,
  "replyTimeout" | "maxInFlight" | "maxQueuedBytes" | "maxBodySize"
>

/** Starts a session that ends with its scope. The socket is still being opened then; commands may be sent already. */
export const start = Effect.fnUntraced(function*(options: SessionOptions) {
  const connector = yield* Connector
  const clock = yield* Effect.clock
  const writable = new Signal()
  const nearer = new Signal()
  const ended = yield* Deferred.make<Ending>()
  /** The deadline that the watching fiber sleeps for. */
  let watchedFor = Number.POSITIVE_INFINITY
  let opened = false

  const pipeline = new Pipeline({
    ...options,
    address: connector.address,
    now: () => clock.unsafeCurrentTimeMillis(),
    onWritable: () => writable.raise(),
    onDeadline: () => {
      if (pipeline.deadline() < watchedFor) nearer.raise()
    },
    onEnd: (ending) => Deferred.unsafeDone(ended, Exit.succeed(ending)),
    trace: yield* tracing
  })

  // Nothing thrown here may escape: in a socket's callback it would be the end of the process.
  const receive = (chunk: Uint8Array): void => {
    try {
      pipeline.receive(chunk)
    } catch (cause) {
      pipeline.end({ reason: "effect-beanstalk failed to handle a reply, please report it", cause })
    }
  }

  const socket = yield* connector.socket
  const write = yield* socket.writer

  const reading = socket.run(receive, { onOpen: Effect.sync(() => void (opened = true)) }).pipe(
    Effect.andThen(Effect.sync(() => pipeline.closed()))
  )

  const writing = Effect.whileLoop({
    while: constTrue,
    body: () => {
      const batch = pipeline.takeBatch()
      return batch === undefined ? writable.wait : write(batch)
    },
    step: constVoid
  })

  const watching = Effect.whileLoop({
    while: constTrue,
    body: () => {
      pipeline.expire()
      watchedFor = pipeline.deadline()
      return watchedFor === Number.POSITIVE_INFINITY
        ? nearer.wait
        : Effect.raceFirst(Effect.sleep(watchedFor - clock.unsafeCurrentTimeMillis()), nearer.wait)
    },
    step: constVoid
  })

  yield* Effect.all([reading, writing, watching], { concurrency: "unbounded", discard: true }).pipe(
    Effect.raceFirst(Deferred.await(ended)),
    Effect.onExit((exit) => Effect.sync(() => pipeline.end(ending(exit)))),
    Effect.interruptible,
    Effect.forkScoped
  )

  const session: Session = { send: (command) => send(pipeline, command), wasOpened: () => opened }
  return session
})

const send = <A, Failure>(
  pipeline: Pipeline,
  command: Command<A, Failure>
): Effect.Effect<A, Failure | CommandError> =>
  // Uninterruptible from the submission on, so that there is no moment in which a fiber can be gone without `cancel`.
  Effect.uninterruptibleMask((restore) => {
    let settled: Effect.Effect<A, Failure | CommandError> | undefined
    let resume: ((settled: Effect.Effect<A, Failure | CommandError>) => void) | undefined
    const entry = pipeline.submit(command, (outcome) => {
      settled = toEffect(outcome)
      resume?.(settled)
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

const toEffect = <A, Failure>(outcome: Outcome<A, Failure>): Effect.Effect<A, Failure | CommandError> => {
  switch (outcome._tag) {
    case "Success":
      return Effect.succeed(outcome.value)
    case "Failure":
      return Effect.fail(outcome.error)
    case "Defect":
      return Effect.die(outcome.defect)
  }
}

/** Why the session is over, when it was not the pipeline that ended it. */
const ending = (exit: Exit.Exit<unknown, Socket.SocketError>): Ending => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return { reason: "it was closed on this side" }
  const cause = Cause.squash(exit.cause)
  return { reason: inWords(cause), cause }
}

/** The innermost of what went wrong: `read ECONNRESET` says more than that there was an error. */
const inWords = (cause: unknown): string => {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(inWords).join(", ")
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause === undefined ? cause.message : inWords(cause.cause)
}

/** At Trace, every line that is sent and received; nothing at all otherwise, decided once for a session. */
const tracing: Effect.Effect<((line: string) => void) | undefined> = Effect.gen(function*() {
  const level = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
  if (LogLevel.greaterThan(level, LogLevel.Trace)) return undefined
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  return (line) => void runFork(Effect.logTrace(line))
})
