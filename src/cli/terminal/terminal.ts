/** The streams and the environment of the process, so that tests have others. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { PipeClosed, Stopped, SystemFailed } from "../failures.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** Standard input. */
export interface Inlet {
  readonly isTerminal: boolean
  /** What is read, as it comes. */
  readonly bytes: Effect.Effect<Stream.Stream<Uint8Array, SystemFailed>>
  /** One line, without what ends it; nothing once the input has ended. */
  readonly line: Effect.Effect<string | undefined>
}

/** Standard output or standard error. */
export interface Outlet {
  readonly isTerminal: boolean
  /** The width of the terminal, now. */
  readonly columns: () => number
  /** Succeeds once it is written. */
  readonly write: (chunk: string | Uint8Array) => Effect.Effect<void, PipeClosed | Stopped>
}

export class Terminal extends Context.Tag("effect-beanstalk/cli/Terminal")<Terminal, {
  readonly env: Environment
  readonly stdin: Inlet
  readonly stdout: Outlet
  readonly stderr: Outlet
}>() {}
