/** What a command reads: a file, or standard input. */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { SystemFailed } from "./failures.ts"
import { readFile } from "./files.ts"
import { Output } from "./terminal/output.ts"
import { Terminal } from "./terminal/terminal.ts"

/** The bytes of a file, or of standard input if none is named, or `-`. */
export const inputOf = (
  file: string | undefined
): Effect.Effect<Stream.Stream<Uint8Array, SystemFailed>, never, Terminal | Output> =>
  Effect.gen(function*() {
    if (file !== undefined && file !== "-") return readFile(file)
    const { stdin } = yield* Terminal
    const { note } = yield* Output
    if (stdin.isTerminal) yield* note("Reads from the terminal; Ctrl-D ends it.")
    return yield* stdin.bytes
  })
