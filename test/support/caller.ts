/** A socket of one's own to a server that listens, for bytes that no client would send. Texts have one character for each byte. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { bytes, chars } from "./replies.ts"
import { targetOf } from "./server.ts"

export class Caller {
  readonly socket: Net.Socket
  /** What was heard and not taken yet. */
  heard = ""
  /** The server says no more. */
  isEnded = false
  /** Nothing is left of the socket. */
  isClosed = false
  /** Why, when it did not end in an orderly way. */
  error: string | undefined = undefined
  private readonly watchers = new Set<() => void>()

  private constructor(socket: Net.Socket) {
    this.socket = socket
    socket.on("data", (chunk) => this.change(() => this.heard += chars(chunk)))
    socket.on("end", () => this.change(() => this.isEnded = true))
    socket.on("error", (error) => this.change(() => this.error = error.message))
    socket.on("close", () => this.change(() => this.isClosed = true))
    socket.on("connect", () => this.change(() => {}))
    socket.on("drain", () => this.change(() => {}))
  }

  /** Connects, until the scope closes. Fails never: a socket that was refused is closed. */
  static open(url: string): Effect.Effect<Caller, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new Caller(Net.connect({ ...targetOf(url), allowHalfOpen: true }))),
      ({ socket }) => Effect.sync(() => socket.destroy())
    ).pipe(Effect.tap((caller) => caller.until(() => !caller.socket.connecting)))
  }

  says(text: string | Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => void this.socket.write(typeof text === "string" ? bytes(text) : text))
  }

  /** Waits until so much was heard as this text is long, and takes it. */
  take(length: number): Effect.Effect<string> {
    return Effect.map(this.until(() => this.heard.length >= length || this.isClosed || this.isEnded), () => {
      const taken = this.heard.slice(0, length)
      this.heard = this.heard.slice(length)
      return taken
    })
  }

  /** Says a line, and takes the line that comes. */
  asks(line: string): Effect.Effect<string> {
    return Effect.zipRight(
      this.says(`${line}\r\n`),
      Effect.flatMap(
        this.until(() => this.heard.includes("\r\n") || this.isClosed || this.isEnded),
        () => Effect.map(this.take(this.heard.indexOf("\r\n") + 2), (line) => line.slice(0, -2))
      )
    )
  }

  readonly ended: Effect.Effect<void> = Effect.suspend(() => this.until(() => this.isEnded || this.isClosed))

  readonly closed: Effect.Effect<void> = Effect.suspend(() => this.until(() => this.isClosed))

  /** Says no more, but still listens. */
  readonly halfClose: Effect.Effect<void> = Effect.sync(() => void this.socket.end())

  /** Is gone, and tells so. */
  readonly reset: Effect.Effect<void> = Effect.sync(() => void this.socket.resetAndDestroy())

  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.async((resume) => {
      const watcher = () => {
        if (!condition()) return
        this.watchers.delete(watcher)
        resume(Effect.void)
      }
      this.watchers.add(watcher)
      watcher()
      return Effect.sync(() => this.watchers.delete(watcher))
    })
  }

  private change(what: () => void): void {
    what()
    for (const watcher of this.watchers) watcher()
  }
}
