/** The terminal of this process. */
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import * as Layer from "effect/Layer"
import { isatty } from "node:tty"
import { PipeClosed, Stopped } from "../failures.ts"
import { type Outlet, Terminal } from "./terminal.ts"

/** Of a terminal that does not tell its width. */
const usualWidth = 80

/** Node makes a stream when it is first asked for, which takes time: a command that writes no error should not wait for it. */
const outlet = (descriptor: 1 | 2, open: () => NodeJS.WriteStream): Outlet => {
  let opened: NodeJS.WriteStream | undefined
  const stream = () => {
    // An error event without a listener ends the process with a stack trace. The callback of the write has the error too.
    opened ??= open().on("error", constVoid)
    return opened
  }
  return {
    isTerminal: isatty(descriptor),
    columns: () => stream().columns || usualWidth,
    write: (chunk) =>
      Effect.async((resume) => {
        stream().write(
          chunk,
          (error) => resume(error === null || error === undefined ? Effect.void : notWritten(error))
        )
      })
  }
}

const notWritten = (error: Error): PipeClosed | Stopped =>
  "code" in error && error.code === "ENOSPC"
    ? new Stopped({ message: "the output cannot be written: no space is left on the device.", cause: error })
    : new PipeClosed()

/** Streams are loaded by those who read: they take a tenth of the time of a short command. */
const bytes = Effect.map(
  Effect.promise(() => import("../files.ts")),
  ({ fromReadable }) => fromReadable(process.stdin, "standard input")
)

const line = Effect.async<string | undefined>((resume) => {
  let text = ""
  const done = (line: string | undefined) => {
    stop()
    resume(Effect.succeed(line))
  }
  const onData = (chunk: Buffer) => {
    text += chunk.toString()
    const end = text.indexOf("\n")
    if (end >= 0) done(text.slice(0, end))
  }
  const onEnd = () => done(text === "" ? undefined : text)
  const stop = () => void process.stdin.off("data", onData).off("end", onEnd).off("error", onEnd).pause()
  process.stdin.on("data", onData).on("end", onEnd).on("error", onEnd)
  // It has ended if the ids of jobs were typed, up to Ctrl-D.
  if (process.stdin.readableEnded) onEnd()
  else process.stdin.resume()
  return Effect.sync(stop)
})

/** Few commands take the whole terminal. */
const fullScreen = Effect.flatMap(Effect.promise(() => import("./nodeFullScreen.ts")), ({ open }) => open)

export const nodeTerminal: Layer.Layer<Terminal> = Layer.sync(Terminal, () => ({
  env: process.env,
  stdin: { isTerminal: isatty(0), bytes, line },
  stdout: outlet(1, () => process.stdout),
  stderr: outlet(2, () => process.stderr),
  fullScreen
}))
