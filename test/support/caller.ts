/** A plain socket to a server, for bytes that the client would not send. Texts have one character for each byte. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { Changing } from "./changing.ts"
import { bytes, chars } from "./replies.ts"
import { targetOf } from "./server.ts"

export class Caller extends Changing {
  readonly socket: Net.Socket
  /** What was received and not taken yet. */
  received = ""
  /** The server has closed its side. */
  isEnded = false
  /** The socket is closed. */
  isClosed = false
  /** The message of the error that closed the socket. */
  error: string | undefined = undefined

  private constructor(socket: Net.Socket) {
    super()
    this.socket = socket
    socket.on("data", (chunk) => this.change(() => this.received += chars(chunk)))
    socket.on("end", () => this.change(() => this.isEnded = true))
    socket.on("error", (error) => this.change(() => this.error = error.message))
    socket.on("close", () => this.change(() => this.isClosed = true))
    socket.on("connect", this.changed)
    socket.on("drain", this.changed)
  }

  /** Connects until the scope closes. It does not fail: a socket that was refused is closed. */
  static open(url: string): Effect.Effect<Caller, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new Caller(Net.connect({ ...targetOf(url), allowHalfOpen: true }))),
      ({ socket }) => Effect.sync(() => socket.destroy())
    ).pipe(Effect.tap((caller) => caller.until(() => !caller.socket.connecting)))
  }

  send(text: string | Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => void this.socket.write(typeof text === "string" ? bytes(text) : text))
  }

  /** Waits until so many bytes were received, and takes them; or what there is, if the server closes. */
  take(length: number): Effect.Effect<string> {
    return Effect.map(this.until(() => this.received.length >= length || this.isClosed || this.isEnded), () => {
      const taken = this.received.slice(0, length)
      this.received = this.received.slice(length)
      return taken
    })
  }

  /** Sends a line, and takes the next line. */
  request(line: string): Effect.Effect<string> {
    return Effect.zipRight(
      this.send(`${line}\r\n`),
      Effect.flatMap(
        this.until(() => this.received.includes("\r\n") || this.isClosed || this.isEnded),
        () => Effect.map(this.take(this.received.indexOf("\r\n") + 2), (line) => line.slice(0, -2))
      )
    )
  }

  readonly ended: Effect.Effect<void> = Effect.suspend(() => this.until(() => this.isEnded || this.isClosed))

  readonly closed: Effect.Effect<void> = Effect.suspend(() => this.until(() => this.isClosed))

  readonly halfClose: Effect.Effect<void> = Effect.sync(() => void this.socket.end())

  readonly reset: Effect.Effect<void> = Effect.sync(() => void this.socket.resetAndDestroy())

  private change(action: () => void): void {
    action()
    this.changed()
  }
}
