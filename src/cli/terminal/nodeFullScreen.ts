/** The whole terminal of this process, which is given back whatever ends or stops the process. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { PipeClosed } from "../failures.ts"
import { fromReadable } from "../files.ts"
import type { FullScreen, Size } from "./terminal.ts"

/** The second screen that terminals have, without a cursor, and without a new line after a line that is too long. */
const alternateScreen = "\u001b[?1049h\u001b[?25l\u001b[?7l"

const usualScreen = "\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l"

/** Of a terminal that does not tell its size. */
const usualSize: Size = { columns: 80, rows: 24 }

/** Of those that stop a process, go on with it, and end it at once. */
const hasSignals = process.platform !== "win32"

export const open: Effect.Effect<FullScreen, never, Scope.Scope> = Effect.gen(function*() {
  const { stdin, stdout } = process
  const changes = yield* Queue.sliding<void>(1)
  let isOurs = false

  const enter = () => {
    isOurs = true
    stdin.setRawMode(true)
    stdout.write(alternateScreen)
    Queue.unsafeOffer(changes, undefined)
  }
  const leave = () => {
    if (!isOurs) return
    isOurs = false
    stdout.write(usualScreen)
    stdin.setRawMode(false)
  }
  /** The signal stops the process only while nobody listens to it. Here the process runs on once it is continued. */
  const stop = () => {
    leave()
    process.off("SIGTSTP", stop)
    process.kill(process.pid, "SIGTSTP")
    process.on("SIGTSTP", stop)
    enter()
  }
  const quit = () => {
    leave()
    process.off("SIGQUIT", quit)
    process.kill(process.pid, "SIGQUIT")
  }
  /** After SIGSTOP, of which no process learns, the shell has set the terminal to its own mode. */
  const onContinue = () => {
    leave()
    enter()
  }
  const onResize = () => void Queue.unsafeOffer(changes, undefined)

  yield* Effect.acquireRelease(
    Effect.sync(() => {
      enter()
      stdout.on("resize", onResize)
      // Before Node writes the stack trace, which would be lost with the alternate screen.
      process.on("uncaughtExceptionMonitor", leave)
      process.on("exit", leave)
      if (hasSignals) process.on("SIGTSTP", stop).on("SIGCONT", onContinue).on("SIGQUIT", quit)
    }),
    () =>
      Effect.sync(() => {
        stdout.off("resize", onResize)
        process.off("uncaughtExceptionMonitor", leave).off("exit", leave)
        process.off("SIGTSTP", stop).off("SIGCONT", onContinue).off("SIGQUIT", quit)
        leave()
      })
  )

  return {
    size: () => ({ columns: stdout.columns || usualSize.columns, rows: stdout.rows || usualSize.rows }),
    // A terminal that is gone cannot be read.
    input: Stream.catchAll(fromReadable(stdin, "the terminal"), () => Stream.empty),
    changes: Stream.fromQueue(changes),
    write: (text) =>
      Effect.async((resume) => {
        stdout.write(text, (error) => resume(error instanceof Error ? new PipeClosed() : Effect.void))
      }),
    // To all processes of the job, as the terminal does: `npx` waits for this one.
    raise: (signal) => Effect.sync(() => void process.kill(0, signal))
  }
})
