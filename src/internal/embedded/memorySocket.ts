/** Sockets to a host in the same process. No bytes leave it, and no port is needed. */
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

/** Behaves as the sockets of `NodeSocket` do: writes wait until it is open, and `run` succeeds when the server closes. */
export const make = (host: ServerHost): Effect.Effect<Socket.Socket> =>
  Effect.sync(() => {
    const opened = Effect.unsafeMakeLatch()
    let line: FaultyTransport | undefined

    const run: Socket.Socket["run"] = <_, E, R>(
      handler: (bytes: Uint8Array) => Effect.Effect<_, E, R> | void,
      options?: { readonly onOpen?: Effect.Effect<void> | undefined }
    ) =>
      Effect.gen(function*() {
        const handling = yield* FiberSet.make<_, E | Socket.SocketError>()
        const runFork = yield* FiberSet.runtime(handling)<R>()
        const end = (exit: Exit.Exit<void, Socket.SocketError>) => Deferred.unsafeDone(handling.deferred, exit)
        // Before it is open: an interruption may come between any two steps.
        yield* Effect.addFinalizer(() => Effect.sync(close))
        line = host.open({
          deliver: (bytes) => {
            const handled = handler(bytes)
            if (Effect.isEffect(handled)) runFork(handled)
            return true
          },
          listen: constVoid,
          end: () => end(Exit.void),
          reset: () => end(Exit.fail(failure("Read", "read ECONNRESET")))
        })
        if (line === undefined) return yield* failure("Open", "connect ECONNREFUSED")
        yield* opened.open
        yield* options?.onOpen ?? Effect.void
        return yield* FiberSet.join(handling)
      }).pipe(Effect.scoped, Effect.interruptible)

    const close = () => {
      opened.unsafeClose()
      line?.hangUp()
      line = undefined
    }

    const write = (chunk: Uint8Array | string | Socket.CloseEvent) =>
      opened.whenOpen(Effect.sync(() => {
        if (Socket.isCloseEvent(chunk)) close()
        else line?.receive(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk)
      }))

    const writer = Effect.acquireRelease(Effect.succeed(write), () => Effect.sync(() => line?.end()))

    return SocketFastPath.withFastPath(
      { [Socket.TypeId]: Socket.TypeId, run, runRaw: run, writer },
      { write: (chunk) => line?.receive(chunk) }
    )
  })
