/** One line on standard error that tells how far a command is, while it runs for longer than half a second in a terminal. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { escapeControls } from "./escape.ts"
import { Terminal } from "./terminal.ts"
import { thousands, timeSpan } from "./text.ts"
import { cut } from "./width.ts"

export interface Progress {
  /** How many are done by now. */
  readonly done: (count: number) => void
  /** How many there are, once that is known. */
  readonly of: (total: number) => void
}

const clearLine = "\r\u001b[K"

const lineOf = (title: string, done: number, total: number | undefined, seconds: number): string => {
  const rate = done / seconds
  const perSecond = `${thousands(Math.round(rate))}/s`
  if (total === undefined || total === 0) return `${title}   ${thousands(done)}   ${perSecond}`
  const share = `${Math.min(100, Math.floor((done / total) * 100))}%`
  const left = rate === 0 ? "" : `   ${timeSpan(Math.max(0, total - done) / rate)} left`
  return `${title}   ${thousands(done)} of ${thousands(total)}   ${share}   ${perSecond}${left}`
}

/** Shows how far `run` is: what it has told last, five times a second. The line is gone when it ends. */
export const withProgress = <A, E, R>(
  title: string,
  run: (progress: Progress) => Effect.Effect<A, E, R>,
  { isShown: mayShow }: { readonly isShown: boolean } = { isShown: true }
): Effect.Effect<A, E, R | Terminal> =>
  Effect.gen(function*() {
    const { stderr } = yield* Terminal
    let count = 0
    let total: number | undefined
    const progress: Progress = {
      done: (done) => {
        count = done
      },
      of: (all) => {
        total = all
      }
    }
    if (!stderr.isTerminal || !mayShow) return yield* run(progress)
    const start = yield* Clock.currentTimeMillis
    let isShown = false
    const show = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      isShown = true
      const line = lineOf(escapeControls(title), count, total, (now - start) / 1000)
      return Effect.ignore(stderr.write(`${clearLine}${cut(line, stderr.columns() - 1)}`))
    })
    const clear = Effect.suspend(() => isShown ? Effect.ignore(stderr.write(clearLine)) : Effect.void)
    const ticking = Effect.delay(Effect.repeat(show, Schedule.spaced("200 millis")), "500 millis")
    return yield* Effect.scoped(
      Effect.zipRight(Effect.addFinalizer(() => clear), Effect.zipRight(Effect.forkScoped(ticking), run(progress)))
    )
  })
