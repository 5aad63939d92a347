/** Streams of Node as Streams. */
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { constants, createReadStream, existsSync } from "node:fs"
import { access, open } from "node:fs/promises"
import { dirname } from "node:path"
import type { Readable } from "node:stream"
import { SystemFailed } from "./failures.ts"

/**
 * Why something of the system failed. Node says `ENOENT: no such file or directory, open 'x'`, and
 * `listen EADDRINUSE: address already in use 127.0.0.1:80`.
 */
export const reasonOf = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  const [, ofFile, ofAddress] = /^E[A-Z]+: ([^,]+), |^listen E[A-Z]+: (.+?)(?: \S*[:/]\S*)?$/.exec(message) ?? []
  return ofFile ?? ofAddress ?? message
}

/**
 * What is read, as it comes. `Stream.fromAsyncIterable` is not used: it waits for the next piece before it ends when it is
 * interrupted, which may take for ever.
 */
export const fromReadable = (readable: Readable, name: string): Stream.Stream<Uint8Array, SystemFailed> => {
  // An error between two pieces ends the process if nobody listens.
  readable.on("error", constVoid)
  return Stream.repeatEffectOption(
    Effect.async<Uint8Array, Option.Option<SystemFailed>>((resume) => {
      const stop = () => void readable.off("readable", read).off("end", onEnd).off("error", onError)
      const settle = (result: Effect.Effect<Uint8Array, Option.Option<SystemFailed>>) => {
        stop()
        resume(result)
      }
      const read = () => {
        const piece: Uint8Array | null = readable.read()
        if (piece !== null) settle(Effect.succeed(piece))
      }
      const onEnd = () => settle(Effect.fail(Option.none()))
      const onError = (error: unknown) =>
        settle(Effect.fail(Option.some(new SystemFailed({ message: `${name} cannot be read: ${reasonOf(error)}.` }))))
      readable.on("readable", read).on("end", onEnd).on("error", onError)
      if (readable.errored !== null) onError(readable.errored)
      else if (readable.readableEnded) onEnd()
      else read()
      return Effect.sync(stop)
    })
  )
}

/** The bytes of a file. */
export const readFile = (path: string): Stream.Stream<Uint8Array, SystemFailed> =>
  Stream.suspend(() => fromReadable(createReadStream(path), path))

const writing = <A>(path: string, run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (error) => new SystemFailed({ message: `${path} cannot be written: ${reasonOf(error)}.` })
  })

/** Fails if a file cannot be written, as far as that is known without a change of it. */
export const checkWritable = (path: string): Effect.Effect<void, SystemFailed> =>
  writing(path, () => access(existsSync(path) ? path : dirname(path), constants.W_OK))

/** Makes a file, or empties it, and succeeds with what writes to it. */
export const writerTo = (
  path: string
): Effect.Effect<(bytes: Uint8Array) => Effect.Effect<void, SystemFailed>, SystemFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(writing(path, () => open(path, "w")), (file) => Effect.promise(() => file.close())),
    (file) => (bytes) => Effect.asVoid(writing(path, () => file.writeFile(bytes)))
  )
