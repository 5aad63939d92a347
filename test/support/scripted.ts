/**
 * Servers that a test scripts line by line: it expects bytes, sends bytes in pieces of any size, closes or resets the
 * connection, or stops reading.
 *
 * A server {@link inMemory} does no I/O, so that a `TestClock` decides when it acts, and a fiber can run in single steps. A
 * server {@link onLoopback} has real sockets.
 */
import * as Socket from "@effect/platform/Socket"
import { assert } from "@effect/vitest"
import { BeanstalkConnection, BeanstalkError, Connector } from "effect-beanstalk"
import { NodeConnector } from "effect-beanstalk/node"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as SocketFastPath from "../../src/internal/connection/socketFastPath.ts"
import { Changing } from "./changing.ts"
import { listen } from "./connections.ts"
import { bytes, chars, ok, recordedDocument, recordings } from "./replies.ts"

/** The server's way of sending to the client, and of ending the connection. */
interface Wire {
  readonly say: (bytes: Uint8Array) => void
  readonly hangUp: () => void
  readonly reset: () => void
  readonly stopReading: () => void
}

/** The server's end of one connection. Texts have one character for each byte. */
export class Peer extends Changing {
  /** What the client has written, one element for each write. */
  readonly writes: Array<string> = []
  /** Whether the client's end is closed. */
  isClosed = false
  private readonly wire: Wire
  private unread = ""

  constructor(wire: Wire) {
    super()
    this.wire = wire
  }

  /** Waits for these bytes. Other bytes fail the test. */
  expect(text: string): Effect.Effect<void> {
    const decided = () => this.isClosed || this.unread.length >= text.length || !text.startsWith(this.unread)
    return Effect.map(this.until(decided), () => assert.strictEqual(this.take(text.length), text))
  }

  /** Waits for a whole line, with its CRLF. */
  readonly line: Effect.Effect<string> = Effect.suspend(() =>
    Effect.map(this.until(() => this.unread.includes("\r\n")), () => this.take(this.unread.indexOf("\r\n") + 2))
  )

  /** What the client has written and no test has expected yet. */
  readonly rest: Effect.Effect<string> = Effect.sync(() => this.unread)

  /** Sends these bytes, in pieces of this size, without a pause. */
  say(text: string, size = text.length): Effect.Effect<void> {
    return Effect.sync(() => {
      for (let offset = 0; offset < text.length; offset += size) this.sayNow(text.slice(offset, offset + size))
    })
  }

  /** Sends these bytes now, outside any Effect. */
  sayNow(text: string): void {
    this.sendNow(bytes(text))
  }

  /** The same for what is too large to be made of a text in little time. */
  sendNow(bytes: Uint8Array): void {
    if (!this.isClosed) this.wire.say(bytes)
  }

  /** Closes the connection, as a process that has ended does. */
  readonly hangUp: Effect.Effect<void> = Effect.sync(() => this.wire.hangUp())
  readonly reset: Effect.Effect<void> = Effect.sync(() => this.wire.reset())
  /** Stops reading: writes of the client do not complete from now on. */
  readonly stopReading: Effect.Effect<void> = Effect.sync(() => this.wire.stopReading())
  /** Completes when the client has closed its end. */
  readonly closed: Effect.Effect<void> = Effect.suspend(() => this.until(() => this.isClosed))

  /** Called when the client has written. */
  hear(text: string): void {
    this.writes.push(text)
    this.unread += text
    this.changed()
  }

  /** Called when the client has closed its end. */
  leave(): void {
    this.isClosed = true
    this.changed()
  }

  private take(length: number): string {
    const taken = this.unread.slice(0, length)
    this.unread = this.unread.slice(length)
    return taken
  }
}

export interface Server {
  readonly connector: Layer.Layer<Connector.Connector>
  /** The next connection that a client opens. */
  readonly accept: Effect.Effect<Peer>
}

const readError = new Socket.SocketGenericError({ reason: "Read", cause: new Error("read ECONNRESET") })

/** The error of a connect to an address where no server listens. */
export const refused = new Socket.SocketGenericError({ reason: "Open", cause: new Error("connect ECONNREFUSED") })

interface InMemoryOptions {
  /** Runs before a client's socket is open. */
  readonly opening?: Effect.Effect<void, Socket.SocketError>
  /** How the client writes: by a function call, as on Node, or by the Effect that every Socket has. */
  readonly writing?: "directly" | "through an Effect"
}

/** A server without I/O. */
export const inMemory = (options?: InMemoryOptions): Effect.Effect<Server> =>
  Effect.map(Queue.unbounded<Peer>(), (accepted) => ({
    connector: Layer.succeed(Connector.Connector, { address: "memory:11300", socket: openSocket(accepted, options) }),
    accept: Queue.take(accepted)
  }))

/** Behaves as the sockets of `NodeSocket` do: writes wait until it is open, and `run` succeeds when the peer hangs up. */
const openSocket = (
  accepted: Queue.Queue<Peer>,
  { opening = Effect.void, writing = "directly" }: InMemoryOptions = {}
): Effect.Effect<Socket.Socket> =>
  Effect.gen(function*() {
    const opened = yield* Deferred.make<Peer>()
    let current: Peer | undefined
    let reads = true
    const run: Socket.Socket["run"] = (handler, options) =>
      Effect.gen(function*() {
        yield* opening
        const ended = yield* Deferred.make<void, Socket.SocketError>()
        const peer = current = new Peer({
          say: (bytes) => void handler(bytes),
          hangUp: () => Deferred.unsafeDone(ended, Exit.void),
          reset: () => Deferred.unsafeDone(ended, Exit.fail(readError)),
          stopReading: () => void (reads = false)
        })
        yield* Deferred.succeed(opened, peer)
        yield* options?.onOpen ?? Effect.void
        yield* Queue.offer(accepted, peer)
        yield* Effect.ensuring(Deferred.await(ended), Effect.sync(() => peer.leave()))
      })
    const write = (chunk: Uint8Array | string | Socket.CloseEvent) =>
      Effect.flatMap(Deferred.await(opened), (peer) => {
        if (!(chunk instanceof Uint8Array)) return Effect.dieMessage("bytes were expected")
        peer.hear(chars(chunk))
        return reads ? Effect.void : Effect.never
      })
    const socket = { [Socket.TypeId]: Socket.TypeId, run, runRaw: run, writer: Effect.succeed(write) } as const
    return writing === "directly"
      ? SocketFastPath.withFastPath(socket, { write: (chunk) => current?.hear(chars(chunk)) })
      : Socket.Socket.of(socket)
  })

/** A server on a port of this machine, until the scope closes. */
export const onLoopback: Effect.Effect<Server & { readonly port: number }, never, Scope.Scope> = Effect.gen(
  function*() {
    const accepted = yield* Queue.unbounded<Peer>()
    const onConnection = (socket: Net.Socket) => {
      const peer = new Peer({
        say: (bytes) => void socket.write(bytes),
        hangUp: () => void socket.end(),
        reset: () => void socket.resetAndDestroy(),
        stopReading: () => void socket.pause()
      })
      socket.on("data", (chunk) => peer.hear(chars(chunk)))
      socket.on("end", () => socket.end())
      socket.on("close", () => peer.leave())
      Queue.unsafeOffer(accepted, peer)
    }
    const make = (onConnection: (socket: Net.Socket) => void) =>
      Net.createServer({ allowHalfOpen: true, noDelay: true }, onConnection)
    const { host, port } = yield* listen(onConnection, { make })
    return { port, connector: NodeConnector.layer({ host, port }), accept: Queue.take(accepted) }
  }
)

const [, exchanges] = recordings[1]!

/** The document of a reply to `stats`. */
export const document = recordedDocument(exchanges, "stats").replace(/max-job-size: \d+/, "max-job-size: 65535")

/** A reply to `stats`. */
export const stats = ok(document)

/** A connection to a server, and the server's end of it, after the handshake. */
export const connect = (
  server: Server,
  options?: Omit<BeanstalkConnection.Options, "tube" | "watch">
): Effect.Effect<readonly [BeanstalkConnection.Connection, Peer], BeanstalkError.BeanstalkError, Scope.Scope> =>
  Effect.all([
    Effect.provide(BeanstalkConnection.make(options), server.connector),
    Effect.tap(server.accept, (peer) => Effect.zipRight(peer.expect("stats\r\n"), peer.say(stats)))
  ], { concurrency: "unbounded" })

/** A connection to a server in memory, and the server's end of it, after the handshake. */
export const open = (options?: Omit<BeanstalkConnection.Options, "tube" | "watch"> & InMemoryOptions) =>
  Effect.flatMap(inMemory(options), (server) => connect(server, options))

/** The ways in which {@link open} can write. */
export const waysToWrite = [{ writing: "directly" }, { writing: "through an Effect" }] as const

type Commands = ReadonlyArray<Effect.Effect<unknown, unknown>>

type Fibers<C extends Commands> = {
  readonly [I in keyof C]: Fiber.RuntimeFiber<Effect.Effect.Success<C[I]>, Effect.Effect.Error<C[I]>>
}

/** Forks the commands in this order, in which they are queued. */
export function start<const C extends Commands>(commands: C): Effect.Effect<Fibers<C>>
export function start(commands: Commands): Effect.Effect<ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>> {
  return Effect.forEach(commands, (command) => Effect.fork(command))
}

/** `Success`, `Interrupted`, the tag of a failure, or the rest of the cause. */
export const ending = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, {
    onSuccess: () => "Success",
    onFailure: (cause) => {
      const error = Option.getOrUndefined(Cause.failureOption(cause))
      if (!BeanstalkError.isBeanstalkError(error)) {
        return Cause.isInterruptedOnly(cause)
          ? "Interrupted"
          : Cause.pretty(cause)
      }
      return error._tag === "ConnectionLost" ? `${error._tag} ${error.outcome}` : error._tag
    }
  })

type AnyFibers = ReadonlyArray<Fiber.Fiber<unknown, unknown>>

/** Waits until the fibers have ended. */
export const exits = (fibers: AnyFibers): Effect.Effect<ReadonlyArray<Exit.Exit<unknown, unknown>>> =>
  Effect.forEach(fibers, (fiber) => Fiber.await(fiber))

/** Waits until the fibers have ended, and describes how each did. */
export const endings = (fibers: AnyFibers): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(exits(fibers), (exits) => exits.map(ending))

/** Whether the fiber still runs after a turn of the event loop. */
export const isPending = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<boolean> =>
  Effect.zipRight(turn, Effect.map(Fiber.poll(fiber), Option.isNone))

/** One turn of the event loop: everything runs that waits neither for I/O nor for time. */
export const turn: Effect.Effect<void> = Effect.async((resume) => void setImmediate(() => resume(Effect.void)))
