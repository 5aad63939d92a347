/** `client.jobs` of a server that does not tell the truth about its ids and counts. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { acceptHandshake, clientTo } from "../support/clients.ts"
import * as Scripted from "../support/scripted.ts"
import { statsJobReply } from "../support/scriptedWorkers.ts"

/** Answers every line by `reply`. The empty line is the body of a put. */
const answering = (peer: Scripted.Peer, reply: (command: string, id: string) => string) =>
  peer.line.pipe(
    Effect.flatMap((line) => {
      const [command = "", id = ""] = line.trim().split(" ")
      return command === "" ? Effect.void : peer.say(reply(command, id))
    }),
    Effect.forever,
    Effect.forkScoped
  )

it.scopedLive("ends, and asks for no more ids than within the reach, when the newest id jumps and no count is right", () =>
  Effect.gen(function*() {
    const server = yield* Scripted.inMemory()
    const client = yield* clientTo(server)
    const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(client.jobs({ reach: 3000, serverShare: 1 }))))
    const peer = yield* acceptHandshake(server)
    let puts = 0
    const asked: Array<string> = []
    yield* answering(peer, (command, id) => {
      switch (command) {
        case "put":
          puts += 1
          return `INSERTED ${puts === 1 ? "1000000" : "18446744073709551615"}\r\n`
        case "use":
          return `USING ${id}\r\n`
        case "stats":
          return Scripted.stats.replace(/current-jobs-ready: \d+/, "current-jobs-ready: 1")
        case "stats-job":
          asked.push(id)
          return id === "999999" ? statsJobReply(999_999, { state: "ready" }) : "NOT_FOUND\r\n"
        default:
          return "NOT_FOUND\r\n"
      }
    })
    assert.strictEqual((yield* Fiber.join(fiber))._tag, "ReachExceeded")
    assert.isAtMost(asked.length, 20_000)
  }))

it.scopedLive("ends when the server has issued the id 0", () =>
  Effect.gen(function*() {
    const server = yield* Scripted.inMemory()
    const client = yield* clientTo(server)
    const fiber = yield* Effect.fork(Stream.runCollect(client.jobs({ serverShare: 1 })))
    const peer = yield* acceptHandshake(server)
    yield* answering(peer, (command, id) => {
      switch (command) {
        case "put":
          return "INSERTED 0\r\n"
        case "use":
          return `USING ${id}\r\n`
        case "stats":
          return Scripted.stats.replace(/current-jobs-ready: \d+/, "current-jobs-ready: 1")
        default:
          return "NOT_FOUND\r\n"
      }
    })
    assert.lengthOf(yield* Fiber.join(fiber), 0)
  }))
