/** The streams and the environment of the process, so that tests have others. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
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

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** The terminal, for a command that has all of it, and reads each key as it is pressed. */
export interface FullScreen {
  /** The size of the terminal, now. */
  readonly size: () => Size
  /** What the keys send. It ends when the terminal is closed. */
  readonly input: Stream.Stream<Uint8Array>
  /** Emits when everything must be written again: the size has changed, or others may have written to the terminal. */
  readonly changes: Stream.Stream<void>
  readonly write: (text: string) => Effect.Effect<void, PipeClosed | Stopped>
  /** Sends the signal that Ctrl-C or Ctrl-Z sends where keys are not read one by one. */
  readonly raise: (signal: "SIGINT" | "SIGTSTP") => Effect.Effect<void>
}

export class Terminal extends Context.Tag("effect-beanstalk/cli/Terminal")<Terminal, {
  readonly env: Environment
  readonly stdin: Inlet
  readonly stdout: Outlet
  readonly stderr: Outlet
  /** Takes the whole terminal until the scope closes. Then, and whenever the process stops or ends, it is as it was before. */
  readonly fullScreen: Effect.Effect<FullScreen, never, Scope.Scope>
}>() {}
