/** Programs that run for a job. */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants, statSync } from "node:fs"
import { delimiter, join } from "node:path"
import { SystemFailed } from "./failures.ts"
import { reasonOf } from "./files.ts"
import { Terminal } from "./terminal/terminal.ts"

/** Fails if there is no such program, in the folders of `PATH` if its name has no slash. */
export const findProgram = (name: string): Effect.Effect<void, SystemFailed, Terminal> =>
  Effect.flatMap(Terminal, ({ env }) => {
    const folders = name.includes("/") ? [""] : (env["PATH"] ?? "").split(delimiter)
    return folders.some((folder) => isExecutable(join(folder, name)))
      ? Effect.void
      : new SystemFailed({ message: `there is no program ${JSON.stringify(name)}.` })
  })

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

export interface ChildOptions {
  /** The program and its arguments. */
  readonly command: ReadonlyArray<string>
  /** What is added to the environment. */
  readonly env: Readonly<Record<string, string>>
  /** All of its standard input. */
  readonly input: Uint8Array
  /** How long after SIGTERM it is killed. */
  readonly killAfter: Duration.Duration
}

export interface ChildEnded {
  readonly code: number | null
  readonly signal: string | null
}

/** Those that run. They are killed when this process ends before they do. */
const running = new Set<ChildProcess>()

const hasGroups = process.platform !== "win32"

/** A child is the leader of a process group, so that what it started is signalled too, and Ctrl-C reaches only this process. */
const signal = ({ pid }: ChildProcess, name: "SIGTERM" | "SIGKILL"): void => {
  if (pid === undefined) return
  try {
    process.kill(hasGroups ? -pid : pid, name)
  } catch {
    // It has ended.
  }
}

const killAll = () => {
  for (const child of running) signal(child, "SIGKILL")
}

process.on("exit", killAll)

/** Runs a program to its end. An interruption sends it SIGTERM, and SIGKILL later. */
export const runChild = (options: ChildOptions): Effect.Effect<ChildEnded, SystemFailed> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<ChildEnded, SystemFailed>()
      const child = yield* start(options, (exit) => Deferred.unsafeDone(ended, exit))
      const stop = Effect.sync(() => signal(child, "SIGTERM")).pipe(
        Effect.zipRight(
          Effect.timeoutOption(Effect.interruptible(Effect.exit(Deferred.await(ended))), options.killAfter)
        ),
        Effect.zipRight(Effect.sync(() => signal(child, "SIGKILL"))),
        Effect.zipRight(Effect.exit(Deferred.await(ended)))
      )
      return yield* Effect.onInterrupt(restore(Deferred.await(ended)), () => stop)
    })
  )

const start = (
  { command: [program = "", ...args], env, input }: ChildOptions,
  onEnd: (exit: Exit.Exit<ChildEnded, SystemFailed>) => void
): Effect.Effect<ChildProcess, SystemFailed> => {
  const cannotRun = (error: unknown) => new SystemFailed({ message: `cannot run ${program}: ${reasonOf(error)}.` })
  return Effect.try({
    try: () => {
      const child = spawn(program, args, {
        stdio: ["pipe", "inherit", "inherit"],
        env: { ...process.env, ...env },
        detached: hasGroups
      })
      running.add(child)
      const end = (exit: Exit.Exit<ChildEnded, SystemFailed>) => {
        running.delete(child)
        onEnd(exit)
      }
      child.once("error", (error) => end(Exit.fail(cannotRun(error))))
      child.once("exit", (code, signal) => end(Exit.succeed({ code, signal })))
      // A program need not read its input.
      child.stdin.on("error", constVoid).end(input)
      return child
    },
    catch: cannotRun
  })
}
