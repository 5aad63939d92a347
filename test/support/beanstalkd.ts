/**
 * A real beanstalkd for as long as a scope is open, on a free loopback port or on a unix socket.
 *
 * The program is the one `BEANSTALKD_PATH` names, or else the first `beanstalkd` on the PATH.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { Listening, ServerOptions } from "./server.ts"

const isExecutable = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The path of the program; `undefined` if none is installed. Throws if `BEANSTALKD_PATH` names no program. */
export const findBeanstalkd = (env: NodeJS.ProcessEnv = process.env): string | undefined => {
  const named = env["BEANSTALKD_PATH"]
  if (named === undefined || named === "") {
    return (env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "beanstalkd")).find(isExecutable)
  }
  if (!isExecutable(named)) throw new Error(`BEANSTALKD_PATH is ${named}, but there is no program there.`)
  return named
}

/** How to install beanstalkd. */
export const howToInstall = "Install one with `apt-get install beanstalkd` (Debian, Ubuntu) or " +
  "`brew install beanstalkd` (macOS), or set BEANSTALKD_PATH to the program."

/** A process that runs. */
export interface Program extends Pick<Listening, "connect" | "pid" | "target"> {
  /** Sends a signal; `SIGUSR1` starts drain mode. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Completes when the process has ended. */
  readonly ended: Effect.Effect<void>
}

export interface ProgramOptions extends Pick<ServerOptions, "port" | "unix"> {
  /** More arguments for the program: `-z`, `-b`, … */
  readonly args?: ReadonlyArray<string> | undefined
  /** More variables of its environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

const freePort = Effect.async<number>((resume) => {
  const probe = Net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})

/** A folder that is removed with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-beanstalk-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const ended = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    const onExit = () => resume(Effect.void)
    child.once("exit", onExit)
    return Effect.sync(() => child.off("exit", onExit))
  })

/**
 * Waits for a reply. A connection that is accepted is not enough: beanstalkd listens before it handles signals, and until then
 * `SIGUSR1` ends it.
 */
const answers = (connect: () => Net.Socket) =>
  Effect.async<void, Error>((resume) => {
    const socket = connect()
    socket.write("no command\r\n")
    socket.once("data", () => {
      socket.destroy()
      resume(Effect.void)
    })
    socket.once("error", (error) => resume(Effect.fail(error)))
  })

/** Starts a server, which is killed when the scope closes. Dies if none is installed. */
export const startBeanstalkd = (options: ProgramOptions = {}): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.gen(function*() {
    const program = findBeanstalkd()
    if (program === undefined) return yield* Effect.dieMessage(`There is no beanstalkd here. ${howToInstall}`)
    const target = options.unix === true
      ? { path: join(yield* temporaryFolder, "beanstalkd.sock") }
      : { host: "127.0.0.1", port: options.port ?? (yield* freePort) }
    const listen = "path" in target ? ["-l", `unix:${target.path}`] : ["-l", target.host, "-p", `${target.port}`]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(program, [...listen, ...options.args ?? []], {
          stdio: "ignore",
          env: { ...process.env, ...options.env }
        })
      ),
      (child) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), ended(child))
    )
    const connect = () => Net.connect(target)
    yield* answers(connect).pipe(
      Effect.retry(Schedule.spaced("10 millis").pipe(Schedule.upTo("10 seconds"))),
      Effect.raceFirst(Effect.andThen(ended(child), Effect.dieMessage(`${program} ended as soon as it was started.`))),
      Effect.orDie
    )
    return {
      target,
      connect,
      pid: child.pid ?? 0,
      signal: (signal) => Effect.sync(() => void child.kill(signal)),
      ended: ended(child)
    }
  })
