/** The command line at a server that fails midway. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { at } from "../support/cli.ts"
import { listen } from "../support/connections.ts"
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

it.scopedLive("take --bury deletes no job whose priority the server does not tell", () =>
  Effect.gen(function*() {
    const broken = yield* server
    const { code, stderr } = yield* at(broken, "take emails --bury")
    assert.strictEqual(code, 5, stderr)
    assert.notInclude(broken.commands, "delete")
  }))
