#!/usr/bin/env node
/**
 * Runs the program in this process: signals interrupt it, and its exit code is that of the process.
 *
 * `NodeRuntime.runMain` is not used: it ends with 0 on SIGINT, and logs failures on standard output.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { run } from "./program.ts"
import { nodeTerminal } from "./terminal/nodeTerminal.ts"

const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

const fiber = Effect.runFork(Effect.provide(run(process.argv.slice(2)), nodeTerminal))

let signalled: keyof typeof exitCodes | undefined

/** The first signal interrupts, and waits until what is held is given back; the second does not wait. */
const onSignal = (signal: keyof typeof exitCodes): void => {
  if (signalled !== undefined) process.exit(exitCodes[signal])
  signalled = signal
  Effect.runFork(Fiber.interrupt(fiber))
}

// Of a terminal that is closed: programs of `work` are in groups of their own, and would run on.
process.on("SIGHUP", onSignal)
process.on("SIGINT", onSignal)
process.on("SIGTERM", onSignal)

fiber.addObserver((exit) => {
  // Every write has been waited for. What may still be open is standard input.
  if (signalled !== undefined) process.exit(exitCodes[signalled])
  process.exit(Exit.isSuccess(exit) ? exit.value : 4)
})
