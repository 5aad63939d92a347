/** What the library logs, on standard error, if it is asked for. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { escapeControlsInLines } from "./terminal/escape.ts"
import { Terminal } from "./terminal/terminal.ts"

const logger = Effect.map(Terminal, ({ stderr }) =>
  Logger.make<unknown, void>(({ date, message }) => {
    const line = `${date.toISOString().slice(11, 23)} ${[message].flat().map(String).join(" ")}\n`
    Effect.runFork(Effect.ignore(stderr.write(escapeControlsInLines(line))))
  }))

/** Nothing; connections; or every command and reply. */
export const layer = (verbose: number): Layer.Layer<never, never, Terminal> =>
  verbose === 0
    ? Logger.minimumLogLevel(LogLevel.None)
    : Layer.merge(
      Logger.minimumLogLevel(verbose === 1 ? LogLevel.Debug : LogLevel.Trace),
      Layer.unwrapEffect(Effect.map(logger, (logger) => Logger.replace(Logger.defaultLogger, logger)))
    )
