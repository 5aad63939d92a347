/** That `beanstalk top` gives the terminal back, however it ends: as a process, at a terminal of util-linux's `script`. */
import { assert, describe, it } from "@effect/vitest"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { bundle, root } from "../../support/bundled.ts"
import { eventually } from "../../support/connections.ts"

/** Says at the end which mode the terminal has. */
const say = "echo ended $?; stty -a | tr ' ;' '\\n\\n' | grep -E '^-?(icanon|echo|isig)$' | tr '\\n' ' '"

const throwsAtSignal = "data:text/javascript,process.on('SIGUSR2',()=>setImmediate(()=>{throw(new(Error)('crash'))}))"

/** Starts it at a terminal, and waits until the terminal is its own. */
const open = Effect.gen(function*() {
  const { url } = yield* NodeEmbeddedServer.listen()
  const program = yield* bundle("src/cli/main.ts")
  const ended = yield* Deferred.make<void>()
  const command = `trap : INT; '${process.execPath}' --import "${throwsAtSignal}" '${program}' top -u ${url}; ${say}`
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("script", ["-q", "-c", command, "/dev/null"], { cwd: root, env: { ...process.env, TERM: "xterm" } })
    ),
    (child) => Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
  )
  let output = ""
  child.stdout.on("data", (chunk) => output += chunk)
  child.on("close", () => Deferred.unsafeDone(ended, Effect.void))
  yield* eventually(Effect.sync(() => output), (output) => output.includes("q quit"))
  return {
    press: (keys: string) => Effect.sync(() => void child.stdin.write(keys)),
    signal: (signal: NodeJS.Signals) => Effect.sync(() => process.kill(lastChild(child.pid ?? 0), signal)),
    /** What was written once the usual screen was back. */
    rest: Effect.map(Deferred.await(ended), () => {
      const [, ...rest] = output.split("\u001b[?1049l")
      return rest.join("usual screen once more").replaceAll("\r", "")
    })
  }
})

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter((text) => text !== "").map(Number)

const lastChild = (pid: number): number => {
  const [child] = childrenOf(pid)
  return child === undefined ? pid : lastChild(child)
}

const usual = "isig icanon echo "

describe.skipIf(process.platform !== "linux" || !existsSync("/usr/bin/script"))("the terminal of beanstalk top", () => {
  it.scopedLive("is as before after q", () =>
    Effect.gen(function*() {
      const { press, rest } = yield* open
      yield* press("q")
      assert.strictEqual(yield* rest, `ended 0\n${usual}`)
    }))

  it.scopedLive("is as before after Ctrl-C, which is a signal", () =>
    Effect.gen(function*() {
      const { press, rest } = yield* open
      yield* press("\u0003")
      assert.strictEqual(yield* rest, `ended 130\n${usual}`)
    }))

  it.scopedLive("is as before after SIGTERM", () =>
    Effect.gen(function*() {
      const { rest, signal } = yield* open
      yield* signal("SIGTERM")
      assert.strictEqual(yield* rest, `ended 143\n${usual}`)
    }))

  it.scopedLive("is as before after SIGQUIT", () =>
    Effect.gen(function*() {
      const { rest, signal } = yield* open
      yield* signal("SIGQUIT")
      assert.match(yield* rest, /ended 131\nisig icanon echo $/)
    }))

  it.scopedLive("is as before after an uncaught exception, which is told there", () =>
    Effect.gen(function*() {
      const { rest, signal } = yield* open
      yield* signal("SIGUSR2")
      const text = yield* rest
      assert.match(text, /Error: crash/)
      assert.isTrue(text.endsWith(`ended 1\n${usual}`), text)
    }))
})
