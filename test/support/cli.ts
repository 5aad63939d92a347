/** Runs the command line in this process, at a terminal or in a pipe of its own. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { PipeClosed } from "../../src/cli/failures.ts"
import { run } from "../../src/cli/program.ts"
import { type FullScreen, type Outlet, Terminal } from "../../src/cli/terminal/terminal.ts"
import type { Listening, Target } from "./server.ts"

export interface Surroundings {
  /** Whether standard input, output and error are a terminal. Default: they are pipes. */
  readonly terminal?: boolean
  /** The width of the terminal. Default: 80. */
  readonly columns?: number
  /** What arrives on standard input. Default: nothing. */
  readonly stdin?: string | Stream.Stream<Uint8Array>
  readonly env?: Readonly<Record<string, string>>
  /** The whole terminal, of a command that takes it. Default: there is none. */
  readonly fullScreen?: FullScreen
  /** After how many writes the reader of standard output closes it. */
  readonly closesAfter?: number
  /** What each write to standard output waits for once it is written. Default: nothing. */
  readonly afterWrite?: Effect.Effect<void>
}

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const encoder = new TextEncoder()

/** Collects what is written, as bytes. */
class Collected {
  private chunks: ReadonlyArray<Uint8Array> = []
  writes = 0
  add(chunk: string | Uint8Array) {
    this.writes += 1
    this.chunks = [...this.chunks, typeof chunk === "string" ? encoder.encode(chunk) : chunk.slice()]
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
  get text(): string {
    return this.bytes.toString()
  }
}

/** A command line that runs. */
export interface Running {
  readonly stdout: Collected
  readonly stderr: Collected
  /** How it ended by itself. */
  readonly ended: Effect.Effect<Ended>
  /** Interrupts it as Ctrl-C does, and waits until it has ended. */
  readonly interrupt: Effect.Effect<void>
}

/** Starts a command line. */
export const start = (argv: ReadonlyArray<string>, surroundings: Surroundings = {}) =>
  Effect.gen(function*() {
    const {
      afterWrite = Effect.void,
      closesAfter = Number.POSITIVE_INFINITY,
      columns = 80,
      env = {},
      fullScreen,
      stdin = "",
      terminal = false
    } = surroundings
    const stdout = new Collected()
    const stderr = new Collected()
    const outlet = (collected: Collected, limit: number, written: Effect.Effect<void>): Outlet => ({
      isTerminal: terminal,
      columns: () => columns,
      write: (chunk) =>
        Effect.suspend(() => {
          if (collected.writes >= limit) return new PipeClosed()
          collected.add(chunk)
          return written
        })
    })
    const lines = typeof stdin === "string" ? stdin.split("\n") : []
    const layer = Layer.succeed(Terminal, {
      env,
      stdin: {
        isTerminal: terminal,
        bytes: Effect.succeed(typeof stdin === "string" ? Stream.make(encoder.encode(stdin)) : stdin),
        line: Effect.sync(() => lines.shift())
      },
      stdout: outlet(stdout, closesAfter, afterWrite),
      stderr: outlet(stderr, Number.POSITIVE_INFINITY, Effect.void),
      fullScreen: fullScreen === undefined ? Effect.dieMessage("it has no screen") : Effect.succeed(fullScreen)
    })
    const code = yield* Deferred.make<number>()
    const fiber = yield* Effect.forkScoped(Effect.intoDeferred(Effect.provide(run(argv), layer), code))
    const running: Running = {
      stdout,
      stderr,
      ended: Effect.map(Deferred.await(code), (code) => ({ code, stdout: stdout.text, stderr: stderr.text })),
      interrupt: Effect.asVoid(Fiber.interrupt(fiber))
    }
    return running
  })

/** Runs a command line to its end. */
export const beanstalk = (argv: ReadonlyArray<string>, surroundings?: Surroundings): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(argv, surroundings), ({ ended }) => ended))

const urlOf = (target: Target): string => "path" in target ? `unix:${target.path}` : `${target.host}:${target.port}`

/** The words of a command line, as a shell would split them: what is in single quotes is one word. */
export const words = (line: string): ReadonlyArray<string> =>
  Array.from(line.matchAll(/'([^']*)'|(\S+)/g), ([, quoted, word]) => quoted ?? word ?? "")

const near = (server: Pick<Listening, "target">, surroundings: Surroundings): Surroundings => ({
  ...surroundings,
  env: { PATH: process.env["PATH"] ?? "", BEANSTALKD_URL: urlOf(server.target), ...surroundings.env }
})

/** Runs a command line at a server. */
export const at = (server: Pick<Listening, "target">, line: string, surroundings: Surroundings = {}) =>
  beanstalk(words(line), near(server, surroundings))

/** Starts a command line at a server. */
export const startAt = (server: Pick<Listening, "target">, line: string, surroundings: Surroundings = {}) =>
  start(words(line), near(server, surroundings))
