/** `@effect/platform-node`, except that a program that is to be run is kept, for a test to run it. */
import type * as Effect from "effect/Effect"

export * from "@effect/platform-node"

type Program = Effect.Effect<unknown, unknown>

let captured: Program | undefined

/** The program that a module gave to `NodeRuntime.runMain` since the last call. */
export const takeProgram = (): Program | undefined => {
  const program = captured
  captured = undefined
  return program
}

export const NodeRuntime = {
  runMain: (program: Program): void => {
    captured = program
  }
}
