/**
 * A Socket that can also be written to without an Effect.
 *
 * A batch of commands is ready in the middle of plain code. Waking a fiber for it and running an Effect takes longer than
 * all else that is done for a command, so a connector that knows a shorter way offers it here. Nobody needs to wait for the
 * write to end: what is in flight is bounded already.
 */
import type * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

const write = Symbol.for("effect-beanstalk/directSocket/write")

type Write = (chunk: Uint8Array) => void

interface DirectSocket extends Socket.Socket {
  readonly [write]: Write
}

/** Offers the shorter way. It is taken only while the socket is open. */
export const make = (socket: Socket.Socket, directly: Write): DirectSocket => ({ ...socket, [write]: directly })

const isDirect = (socket: Socket.Socket): socket is DirectSocket => write in socket

/** The way to write to a socket from plain code: its own, or a queue that a fiber of the scope empties. */
export const writerOf = Effect.fnUntraced(
  function*(socket: Socket.Socket, onError: (error: Socket.SocketError) => void) {
    if (isDirect(socket)) return socket[write]
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
