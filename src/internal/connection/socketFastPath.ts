/**
 * An optional faster way to read from and write to a `Socket`: plain functions in place of Effects.
 *
 * The pipeline has a batch ready in the middle of plain code. Starting a fiber for each write, and running an Effect in it,
 * takes longer than everything else that is done for a command. A connector that owns the socket therefore registers a function
 * that writes at once. Such a write needs no back-pressure: the pipeline bounds what is in flight. For reading, the connector
 * hands over the buffer that the socket was read into, which saves a copy of each chunk.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

/** Used only while the socket is open. */
export interface FastPath {
  readonly write: (chunk: Uint8Array) => void
  /**
   * Set by {@link setReader}: the connector calls it with each chunk, instead of the handler of `run`. The chunk is valid only
   * during the call, since the socket reads into the same buffer again.
   */
  reader?: ((chunk: Uint8Array) => void) | undefined
}

/**
 * By socket, not as a property of it: a user who replaces `run` or `writer` makes a new object, `{ ...socket, writer }`, whose
 * own functions are then used.
 */
const fastPaths = new WeakMap<Socket.Socket, FastPath>()

/** A copy of the socket that has a fast path. */
export const withFastPath = (socket: Socket.Socket, fastPath: FastPath): Socket.Socket => {
  const copy = { ...socket }
  fastPaths.set(copy, fastPath)
  return copy
}

/**
 * Until the scope ends, the socket calls `reader` where it has a fast path. Chunks that it cannot hand over that way reach the
 * handler of `run`, in order.
 */
export const setReader = (
  socket: Socket.Socket,
  reader: NonNullable<FastPath["reader"]>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const fastPath = fastPaths.get(socket)
    if (fastPath === undefined) return Effect.void
    fastPath.reader = reader
    return Effect.addFinalizer(() => Effect.sync(() => fastPath.reader = undefined))
  })

/** How a session writes to its socket. */
export interface Writer {
  readonly write: (chunk: Uint8Array) => void
  /** Half-closes the socket: what is written by then is sent, nothing more can be, and replies are still read. */
  readonly end: Effect.Effect<void>
}

/** The fast path of a socket, or a queue that a fiber in the scope writes from. */
export const makeWriter = Effect.fnUntraced(
  function*(socket: Socket.Socket, onError: (error: Socket.SocketError) => void) {
    // The end of the scope of a writer ends the socket's writing side.
    const end = Effect.scoped(Effect.asVoid(socket.writer))
    const fastPath = fastPaths.get(socket)
    if (fastPath !== undefined) return { write: fastPath.write, end } satisfies Writer
    const write = yield* socket.writer
    const steps = yield* Queue.unbounded<Effect.Effect<void, Socket.SocketError>>()
    yield* Effect.flatten(Queue.take(steps)).pipe(
      Effect.forever,
      Effect.catchAll((error) => Effect.sync(() => onError(error))),
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      write: (chunk) => void steps.unsafeOffer(write(chunk)),
      end: Effect.asVoid(Queue.offer(steps, end))
    } satisfies Writer
  }
)
