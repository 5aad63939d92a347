/** Sockets to a server host in the same process, without a port. */
import * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import { constVoid } from "effect/Function"
import * as SocketFastPath from "../connection/socketFastPath.ts"
import type { FaultyTransport } from "./faultyTransport.ts"
import type { ServerHost } from "./serverHost.ts"

const failure = (reason: "Open" | "Read", message: string) =>
  new Socket.SocketGenericError({ reason, cause: new Error(message) })

/** A socket that behaves as one of `NodeSocket`: writes wait until it is open, and `run` succeeds when the server closes it. */
export const make = (serverHost: Pick<ServerHost, "open">): Effect.Effect<Socket.Socket> =>
  Effect.gen(function*() {
    const opened = yield* Effect.makeLatch()
    let transport: FaultyTransport | undefined

    const close = Effect.andThen(
      opened.close,
      Effect.sync(() => {
        transport?.hangUp()
        transport = undefined
      })
    )

    const run: Socket.Socket["run"] = <_, E, R>(
      handler: (bytes: Uint8Array) => Effect.Effect<_, E, R> | void,
      options?: { readonly onOpen?: Effect.Effect<void> | undefined }
    ) =>
      Effect.gen(function*() {
        const handlers = yield* FiberSet.make<_, E | Socket.SocketError>()
        const runFork = yield* FiberSet.runtime(handlers)<R>()
        const end = (exit: Exit.Exit<void, Socket.SocketError>) => Deferred.unsafeDone(handlers.deferred, exit)
        // Added before the transport is opened: the fiber may be interrupted between any two steps.
        yield* Effect.addFinalizer(() => close)
        transport = serverHost.open({
          deliver: (bytes) => {
            const handled = handler(bytes)
            if (Effect.isEffect(handled)) runFork(handled)
            return true
          },
          setReading: constVoid,
          end: () => end(Exit.void),
          reset: () => end(Exit.fail(failure("Read", "read ECONNRESET")))
        })
        if (transport === undefined) return yield* failure("Open", "connect ECONNREFUSED")
        yield* opened.open
        yield* options?.onOpen ?? Effect.void
        return yield* FiberSet.join(handlers)
      }).pipe(Effect.scoped, Effect.interruptible)

    const write = (chunk: Uint8Array | string | Socket.CloseEvent) =>
      opened.whenOpen(
        Socket.isCloseEvent(chunk)
          ? close
          : Effect.sync(() => transport?.receive(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk))
      )

    const writer = Effect.acquireRelease(Effect.succeed(write), () => Effect.sync(() => transport?.end()))

    return SocketFastPath.withFastPath(
      { [Socket.TypeId]: Socket.TypeId, run, runRaw: run, writer },
      { write: (chunk) => transport?.receive(chunk) }
    )
  })
