/** Asks before something is changed that is not easily brought back. */
import * as Effect from "effect/Effect"
import { Declined, WrongUsage } from "../failures.ts"
import * as Flag from "../table/flag.ts"
import { escapeControls } from "./escape.ts"
import { Terminal } from "./terminal.ts"

/** The flags of a command that asks. */
export const flags = {
  yes: Flag.on("yes", { short: "y", summary: "do not ask" }),
  dryRun: Flag.on("dry-run", { short: "n", summary: "count, and change nothing" })
}

/** Any act on more jobs than this asks first. */
export const askAbove = 1000

/** Asks, unless `yes` is given. Without a terminal there is nobody to ask. */
export const confirm = (
  question: string,
  { yes }: { readonly yes: boolean }
): Effect.Effect<void, WrongUsage | Declined, Terminal> =>
  Effect.gen(function*() {
    if (yes) return
    const { stderr, stdin } = yield* Terminal
    if (!stdin.isTerminal || !stderr.isTerminal) {
      return yield* new WrongUsage({ message: `${question} There is no terminal to ask at: add --yes.` })
    }
    yield* Effect.ignore(stderr.write(`${escapeControls(question)} [y/N] `))
    const answer = yield* stdin.line
    if (answer === undefined) {
      yield* Effect.ignore(stderr.write("\n"))
      return yield* new WrongUsage({
        message: `${question} Standard input has ended, so that nobody can answer: add --yes.`
      })
    }
    if (!/^y(es)?$/i.test(answer.trim())) return yield* new Declined({ message: "nothing was changed." })
  })
