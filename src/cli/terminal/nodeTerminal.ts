/** The terminal of this process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { PipeClosed } from "../failures.ts"
import { fromReadable } from "../files.ts"
import { type Outlet, Terminal } from "./terminal.ts"

/** Of a terminal that does not tell its width. */
const usualWidth = 80

const outlet = (stream: NodeJS.WriteStream): Outlet => {
  // An error event without a listener ends the process with a stack trace. The callback of the write has the error too.
  stream.on("error", () => undefined)
  return {
    isTerminal: stream.isTTY,
    columns: () => stream.columns || usualWidth,
    write: (chunk) =>
      Effect.async((resume) => {
        stream.write(chunk, (error) => resume(error === null || error === undefined ? Effect.void : new PipeClosed()))
      })
  }
}

const bytes = Stream.suspend(() => fromReadable(process.stdin, "standard input"))

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
  const stop = () => void process.stdin.off("data", onData).off("end", onEnd).pause()
  process.stdin.on("data", onData).on("end", onEnd).resume()
  return Effect.sync(stop)
})

export const nodeTerminal: Layer.Layer<Terminal> = Layer.sync(Terminal, () => ({
  env: process.env,
  stdin: { isTerminal: process.stdin.isTTY, bytes, line },
  stdout: outlet(process.stdout),
  stderr: outlet(process.stderr)
}))
