/** The command line at a server that fails midway. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Socket } from "node:net"
import { at, startAt } from "../support/cli.ts"
import { eventually, listen } from "../support/connections.ts"
import { ok, recordedDocument, recordings } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

const replies: Readonly<Record<string, string>> = {
  "stats": Scripted.stats,
  "list-tubes": "OK 14\r\n---\n- default\n\r\n",
  "watch": "WATCHING 2\r\n",
  "ignore": "WATCHING 1\r\n",
  "reserve-with-timeout": "RESERVED 7 5\r\nhello\r\n",
  "stats-job": "OUT_OF_MEMORY\r\n",
  "delete": "DELETED\r\n"
}

/** Answers each command by its reply, and closes the connection at one that has none. */
const server = Effect.gen(function*() {
  const commands: Array<string> = []
  const target = yield* listen((socket) => {
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
        const command = line.split(" ")[0] ?? ""
        commands.push(command)
        const reply = replies[command]
        if (reply === undefined) return void socket.destroy()
        socket.write(reply)
      }
    })
  })
  return { commands, target }
})

for (const line of ["purge default --yes", "kick default", "tail default --to 1"]) {
  it.scopedLive(`${line} says that the connection was lost`, () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* at(yield* server, line)
      assert.strictEqual(code, 3, stderr)
      assert.notInclude(stderr, "bug of beanstalk")
    }))
}

it.scopedLive("a server that goes silent is waited for as long as --timeout says", () =>
  Effect.gen(function*() {
    const target = yield* listen((socket) => {
      socket.once("data", () => socket.write(Scripted.stats))
    })
    const { code, stderr } = yield* at({ target }, "stats --timeout 2s")
    assert.strictEqual(code, 3)
    assert.match(stderr, /was lost: the server has not answered stats for [2-9](\.\d+)? seconds\./)
  }))

it.scopedLive("kick that kicks nothing is no success", () =>
  Effect.gen(function*() {
    const target = yield* listen((socket) => {
      const [, exchanges] = recordings[1]!
      const tube = recordedDocument(exchanges, "stats-tube 123")
        .replace(/name: .*/, "name: default")
        .replace(/current-jobs-buried: .*/, "current-jobs-buried: 7")
      const answers: Readonly<Record<string, string>> = {
        ...replies,
        "stats-tube": ok(tube),
        "kick": "KICKED 0\r\n",
        "use": "USING default\r\n"
      }
      socket.on("data", (chunk) => {
        for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
          socket.write(answers[line.split(" ")[0] ?? ""] ?? "UNKNOWN_COMMAND\r\n")
        }
      })
    })
    const { code, stderr, stdout } = yield* at({ target }, "kick default")
    assert.deepStrictEqual([code, stderr], [
      1,
      "beanstalk: no job was kicked: by then they were gone, or in another state.\n"
    ])
    assert.match(stdout, /^default: no jobs kicked in /)
  }))

it.scopedLive("delete - counts what the server answers after the interruption", () =>
  Effect.gen(function*() {
    let deletes = 0
    const sockets = new Set<Socket>()
    const target = yield* listen((socket) => {
      socket.on("data", (chunk) => {
        for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
          if (line === "stats") socket.write(Scripted.stats)
          if (!line.startsWith("delete ")) continue
          deletes += 1
          sockets.add(socket)
        }
      })
    })
    const running = yield* startAt({ target }, "delete 1 2")
    yield* eventually(Effect.sync(() => deletes), (count) => count === 2)
    const interrupting = yield* Effect.fork(running.interrupt)
    yield* Effect.yieldNow()
    for (const socket of sockets) socket.write("DELETED\r\nDELETED\r\n")
    yield* Fiber.join(interrupting)
    assert.strictEqual(running.stderr.text, "Interrupted. 2 jobs were deleted.\n")
  }))

it.scopedLive("take --bury deletes no job whose priority the server does not tell", () =>
  Effect.gen(function*() {
    const broken = yield* server
    const { code, stderr } = yield* at(broken, "take emails --bury")
    assert.strictEqual(code, 5, stderr)
    assert.notInclude(broken.commands, "delete")
  }))
