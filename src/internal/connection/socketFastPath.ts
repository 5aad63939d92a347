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
import type * as Scope from "effect/Scope"

const direct = Symbol.for("effect-beanstalk/directSocket")

/** The shorter ways. They are taken only while the socket is open. */
export interface Shortcuts {
  readonly write: (chunk: Uint8Array) => void
  /** Is shown what is read, in the place of the handler of `run`. The bytes are only lent: they change once it returns. */
  reader?: ((piece: Uint8Array) => void) | undefined
}

/** They are those of one way to read and one to write: whoever puts others in their place is not passed by. */
interface DirectSocket extends Socket.Socket {
  readonly [direct]: Pick<Socket.Socket, "run" | "writer"> & { readonly shortcuts: Shortcuts }
}

/** Offers the shorter ways. */
export const make = (socket: Socket.Socket, shortcuts: Shortcuts): DirectSocket => {
  const { run, writer } = socket
  return { ...socket, [direct]: { run, writer, shortcuts } }
}

const isDirect = (socket: Socket.Socket): socket is DirectSocket => direct in socket

const shortcutsOf = (socket: Socket.Socket): Shortcuts | undefined => {
  if (!isDirect(socket)) return undefined
  const { run, shortcuts, writer } = socket[direct]
  return socket.run === run && socket.writer === writer ? shortcuts : undefined
}

/**
 * Asks a socket to show `reader` what it reads, until the scope ends. What it cannot show comes to the handler of `run` as
 * ever, in order.
 */
export const show = (
  socket: Socket.Socket,
  reader: NonNullable<Shortcuts["reader"]>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const shortcuts = shortcutsOf(socket)
    if (shortcuts === undefined) return Effect.void
    shortcuts.reader = reader
    return Effect.addFinalizer(() => Effect.sync(() => shortcuts.reader = undefined))
  })

/** The way to write to a socket from plain code: its own, or a queue that a fiber of the scope empties. */
export const writerOf = Effect.fnUntraced(
  function*(socket: Socket.Socket, onError: (error: Socket.SocketError) => void) {
    const shortcuts = shortcutsOf(socket)
    if (shortcuts !== undefined) return shortcuts.write
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
