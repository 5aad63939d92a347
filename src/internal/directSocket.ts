/**
 * A Socket that can also be written to without an Effect, and read from without a copy.
 *
 * A batch of commands is ready in the middle of plain code. Waking a fiber for it and running an Effect takes longer than
 * all else that is done for a command, so a connector that knows a shorter way offers it here. Nobody needs to wait for the
 * write to end: what is in flight is bounded already. And whoever copies what it keeps of a piece can be shown the buffer
 * it was read into.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

const direct = Symbol.for("effect-beanstalk/directSocket")

/** The shorter ways. They are taken only while the socket is open. */
export interface Shortcuts {
  readonly write: (chunk: Uint8Array) => void
  /** Is shown what is read, in the place of the handler of `run`. The bytes are only lent: they change once it returns. */
  reader?: ((piece: Uint8Array) => void) | undefined
}

interface DirectSocket extends Socket.Socket {
  readonly [direct]: Shortcuts
}

/** Offers the shorter ways. */
export const make = (socket: Socket.Socket, shortcuts: Shortcuts): DirectSocket => ({ ...socket, [direct]: shortcuts })

const isDirect = (socket: Socket.Socket): socket is DirectSocket => direct in socket

/** Asks a socket to show `reader` what it reads. What it cannot show comes to the handler of `run` as ever, in order. */
export const show = (socket: Socket.Socket, reader: NonNullable<Shortcuts["reader"]>): void => {
  if (isDirect(socket)) socket[direct].reader = reader
}

/** The way to write to a socket from plain code: its own, or a queue that a fiber of the scope empties. */
export const writerOf = Effect.fnUntraced(
  function*(socket: Socket.Socket, onError: (error: Socket.SocketError) => void) {
    if (isDirect(socket)) return socket[direct].write
    const send = yield* socket.writer
    const chunks = yield* Queue.unbounded<Uint8Array>()
    yield* Queue.take(chunks).pipe(
      Effect.flatMap(send),
      Effect.forever,
      Effect.catchAll((error) => Effect.sync(() => onError(error))),
      Effect.interruptible,
      Effect.forkScoped
    )
    return (chunk: Uint8Array) => void chunks.unsafeOffer(chunk)
  }
)
