/**
 * Many puts from a stream: sent in order, so many at a time, and their ids given back in order. No fiber waits for a single
 * one of them.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import {
  type ConnectFailed,
  InvalidArgument,
  PayloadError,
  PutAllStopped,
  type PutError
} from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import type { JobId, TubeName } from "../../Job.ts"
import { LinkedList } from "../base/linkedList.ts"
import * as Validate from "../protocol/validate.ts"
import type { SharedConnection } from "./sharedConnection.ts"

/** A body, or why there is none. */
export type Body = string | Uint8Array | PayloadError

type PutFailure = PutError | ConnectFailed

export interface PutAllOptions extends Protocol.JobOptions {
  /** How many bodies may be sent before the ids of the first of them have been taken from the stream. Default: 1,024. */
  readonly window?: number | undefined
}

/** Where the puts are sent. */
export interface Target extends Pick<SharedConnection, "submit"> {
  readonly address: string
}

/** What is to be done, checked. */
interface Putting extends Target {
  readonly tube: TubeName
  readonly window: number
  readonly command: (body: string | Uint8Array) => ReturnType<typeof Protocol.put>
}

/** A body that was sent, and what has become of it. */
interface Sent {
  readonly index: number
  exit: Exit.Exit<JobId, PutFailure | PayloadError> | undefined
  takeBack: () => void
  previous: Sent | undefined
  next: Sent | undefined
}

/** What has been sent, and not been taken. */
class Window {
  readonly failures: Array<{ readonly index: number; readonly error: PutFailure | PayloadError }> = []
  /** What ended it that is no error. */
  defect: Cause.Cause<never> | undefined = undefined
  sent = 0
  acknowledged = 0
  /** Open while more may be sent: closed while the window is full, and for good once something has failed. */
  readonly room = Effect.unsafeMakeLatch(true)
  /** Open while there is something to take. */
  readonly news = Effect.unsafeMakeLatch(false)
  private readonly putting: Putting
  private readonly outstanding = new LinkedList<Sent>()

  constructor(putting: Putting) {
    this.putting = putting
  }

  get isFull(): boolean {
    return this.outstanding.length >= this.putting.window
  }

  get isEmpty(): boolean {
    return this.outstanding.length === 0
  }

  /** Something has failed: what is sent is waited for, and nothing more is sent. */
  get isStopped(): boolean {
    return this.failures.length > 0 || this.defect !== undefined
  }

  send(body: Body): void {
    const sent: Sent = { index: this.sent, exit: undefined, takeBack: constVoid, previous: undefined, next: undefined }
    const settle = (exit: Exit.Exit<JobId, PutFailure | PayloadError>) => {
      sent.exit = exit
      if (Exit.isFailure(exit)) this.stop(sent.index, exit.cause)
      if (sent === this.outstanding.head) this.news.unsafeOpen()
    }
    this.sent += 1
    this.outstanding.push(sent)
    const command = body instanceof PayloadError ? body : this.putting.command(body)
    if (command instanceof InvalidArgument || command instanceof PayloadError) settle(Exit.fail(command))
    else sent.takeBack = this.putting.submit(command, settle)
    if (this.isFull) this.room.unsafeClose()
  }

  /** The ids of all that is acknowledged, up to the first body that is not settled. */
  take(): Array<JobId> {
    const ids: Array<JobId> = []
    let sent = this.outstanding.head
    while (sent?.exit !== undefined) {
      if (Exit.isSuccess(sent.exit)) ids.push(sent.exit.value)
      this.outstanding.remove(sent)
      sent = this.outstanding.head
    }
    this.news.unsafeClose()
    this.acknowledged += ids.length
    if (!this.isFull && !this.isStopped) this.room.unsafeOpen()
    return ids
  }

  /** Nobody wants the rest: what is not written is not sent any more. */
  takeBack(): void {
    for (let sent = this.outstanding.shift(); sent !== undefined; sent = this.outstanding.shift()) sent.takeBack()
  }

  private stop(index: number, cause: Cause.Cause<PutFailure | PayloadError>): void {
    const failed = Cause.failureOrCause(cause)
    if (failed._tag === "Left") this.failures.push({ index, error: failed.left })
    else this.defect ??= failed.right
    this.room.unsafeClose()
  }
}

/** Puts all bodies of a stream, and gives their ids. */
export const putAll = <E, R>(
  bodies: Stream.Stream<Body, E, R>,
  options: PutAllOptions & { readonly tube: string },
  target: Target
): Stream.Stream<JobId, E | PutAllStopped | InvalidArgument, R> => {
  const putting = Validate.attempt(() => puttingOf(options, target))
  return putting instanceof InvalidArgument ? Stream.fail(putting) : putEach(bodies, putting)
}

/** Throws `InvalidArgument`, as all that checks arguments: what is wrong with every put is told before the first. */
const puttingOf = (
  { tube, window = 1024, ...options }: PutAllOptions & { readonly tube: string },
  target: Target
): Putting => {
  const name = Validate.tubeName("put", tube)
  const where = { ...options, tube: name }
  const command = (body: string | Uint8Array) => Protocol.put(body, where)
  const size = Validate.positiveInteger("putAll", "window", window)
  const example = command("")
  if (example instanceof InvalidArgument) throw example
  return { ...target, tube: name, window: size, command }
}

const putEach = <E, R>(
  bodies: Stream.Stream<Body, E, R>,
  putting: Putting
): Stream.Stream<JobId, E | PutAllStopped, R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const window = new Window(putting)
    let fed: Exit.Exit<void, E> | undefined

    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        window.takeBack()
        return Exit.isInterrupted(exit)
          ? Effect.logInfo(
            `putAll for tube ${putting.tube} of beanstalkd at ${putting.address} was interrupted: ` +
              `${window.acknowledged} bodies were acknowledged, and at most ${window.sent} sent`
          )
          : Effect.void
      })
    )

    yield* bodies.pipe(
      Stream.runForEachChunk((chunk) => feed(window, chunk)),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          fed = exit
          window.news.unsafeOpen()
        })
      ),
      // Once something has failed it waits for nothing but its end, wherever the stream is run.
      Effect.interruptible,
      Effect.forkScoped
    )

    const taken: Effect.Effect<Chunk.Chunk<JobId>, Option.Option<E | PutAllStopped>> = Effect.suspend(() => {
      const ids = window.take()
      if (ids.length > 0) return Effect.succeed(Chunk.unsafeFromArray(ids))
      if ((fed !== undefined || window.isStopped) && window.isEmpty) return ending(window, fed, putting)
      return Effect.zipRight(window.news.await, taken)
    })
    return Stream.repeatEffectChunkOption(taken)
  }))

/** Sends a chunk as there is room. Once something has failed there is none, so that nothing more is read. */
const feed = (window: Window, chunk: Chunk.Chunk<Body>): Effect.Effect<void> => {
  const bodies = chunk[Symbol.iterator]()
  let next = bodies.next()
  const sendSome = () => {
    while (next.done !== true && !window.isFull && !window.isStopped) {
      window.send(next.value)
      next = bodies.next()
    }
    return window.room.await
  }
  return Effect.whileLoop({ while: () => next.done !== true, body: sendSome, step: constVoid })
}

/** How it ends once everything that was sent is settled and taken. */
const ending = <E>(
  { acknowledged, defect, failures, sent }: Window,
  fed: Exit.Exit<void, E> | undefined,
  { address, tube }: Putting
): Effect.Effect<never, Option.Option<E | PutAllStopped>> => {
  const byIndex = failures.toSorted((one, other) => one.index - other.index)
  if (Arr.isNonEmptyReadonlyArray(byIndex)) {
    return Effect.fail(Option.some(new PutAllStopped({ address, tube, acknowledged, sent, failures: byIndex })))
  }
  if (defect !== undefined) return Effect.failCause(defect)
  return fed !== undefined && Exit.isFailure(fed)
    ? Effect.failCause(Cause.map(fed.cause, Option.some))
    : Effect.fail(Option.none())
}
