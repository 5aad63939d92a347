/** What the library logs, on standard error, if it is asked for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Terminal } from "./terminal/terminal.ts"
import { escapeControlsInLines } from "./terminal/text.ts"

const levelOf = (verbose: number): LogLevel.LogLevel => {
  if (verbose === 0) return LogLevel.None
  return verbose === 1 ? LogLevel.Debug : LogLevel.Trace
}

/** Nothing; connections; or every command and reply. */
export const layer = (verbose: number): Layer.Layer<never, never, Terminal> =>
  Layer.merge(
    Logger.minimumLogLevel(levelOf(verbose)),
    Layer.unwrapEffect(Effect.map(Terminal, ({ stderr }) =>
      Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ date, message }) => {
          const line = `${date.toISOString().slice(11, 23)} ${[message].flat().map(String).join(" ")}\n`
          Effect.runFork(Effect.ignore(stderr.write(escapeControlsInLines(line))))
        })
      )))
  )
