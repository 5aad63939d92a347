/** The command line at a server that fails midway. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
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

const numbersOfJob = {
  pri: 1,
  age: 0,
  delay: 0,
  ttr: 60,
  "time-left": 59,
  file: 0,
  reserves: 1,
  timeouts: 0,
  releases: 0,
  buries: 0,
  kicks: 0
}

/** The statistics of a job of the tube `default`. */
const documentOf = (id: string, state: string) =>
  `---\n${
    Object.entries({ id, tube: "default", state, ...numbersOfJob }).map(([key, value]) => `${key}: ${value}\n`).join("")
  }`

/** The statistics of the tube `default`, with so many jobs in a state. */
const tubeWith = (state: string, jobs: number) => {
  const [, exchanges] = recordings[1]!
  return recordedDocument(exchanges, "stats-tube 123")
    .replace(/name: .*/, "name: default")
    .replace(new RegExp(`current-jobs-${state}: .*`), `current-jobs-${state}: ${jobs}`)
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

it.scopedLive("a server that goes silent later is said to be silent, and not to be away", () =>
  Effect.gen(function*() {
    const target = yield* listen((socket) => {
      socket.once("data", () => socket.write(Scripted.stats))
    })
    const { code, stderr } = yield* at({ target }, "doctor --timeout 1s")
    assert.strictEqual(code, 3)
    assert.match(stderr, /did not answer: the connection was lost \(the server has not answered stats for /)
  }))

it.scopedLive("move says that jobs may be in both tubes if the connection is lost in the first batch", () =>
  Effect.gen(function*() {
    const target = yield* listen((socket) => {
      const answers: Readonly<Record<string, string>> = {
        ...replies,
        "stats-tube": ok(tubeWith("ready", 1)),
        "stats-job": ok(documentOf("7", "reserved"))
      }
      socket.on("data", (chunk) => {
        for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
          const reply = answers[line.split(" ")[0] ?? ""]
          if (reply === undefined) return void socket.destroy()
          socket.write(reply)
        }
      })
    })
    const { code, stderr } = yield* at({ target }, "move default other")
    assert.strictEqual(code, 4)
    assert.match(
      stderr,
      /^beanstalk: stopped after 0 jobs were moved: .* Up to 256 jobs may be in both tubes now\. 1 is left\./
    )
  }))

it.scopedLive("jobs says that jobs were gone before their bodies were read", () =>
  Effect.gen(function*() {
    const target = yield* listen((socket) => {
      socket.on("data", (chunk) => {
        for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
          const [command = "", id = ""] = line.split(" ")
          const answers: Readonly<Record<string, string>> = {
            ...replies,
            "stats-tube": ok(tubeWith("reserved", 2)),
            "stats-job": ok(documentOf(id, "reserved")),
            "peek": "NOT_FOUND\r\n"
          }
          socket.write(answers[command] ?? "UNKNOWN_COMMAND\r\n")
        }
      })
    })
    const { code, stderr, stdout } = yield* at({ target }, "jobs default --state reserved --to 2")
    assert.deepStrictEqual([code, stdout], [1, ""])
    const [found, failure] = stderr.split("\n")
    assert.match(
      found ?? "",
      /^All 2 reserved jobs of default were found, among 2 ids, in .*s\. 2 jobs were gone before their bodies were read\.$/
    )
    assert.match(
      failure ?? "",
      /^beanstalk: no job of tube default on .* is listed: 2 jobs were gone before their bodies were read\. List them with --no-body\.$/
    )
    assert.strictEqual((yield* at({ target }, "jobs default --state reserved --to 2 --no-body --ids")).stdout, "2\n1\n")
  }))

it.scopedLive("kick that kicks nothing is no success", () =>
  Effect.gen(function*() {
    const target = yield* listen((socket) => {
      const answers: Readonly<Record<string, string>> = {
        ...replies,
        "stats-tube": ok(tubeWith("buried", 7)),
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

/** A server that answers as this function says to each line, those of bodies included. */
const answering = (answer: (command: string, socket: Socket) => string | undefined) =>
  listen((socket) => {
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
        const command = line.split(" ")[0] ?? ""
        const reply = answer(command, socket) ?? (command === "stats" ? Scripted.stats : undefined)
        if (reply !== undefined) socket.write(reply)
      }
    })
  })

it.scopedLive("take says that the connection was lost while it chose its tubes", () =>
  Effect.gen(function*() {
    const target = yield* answering((command, socket) => {
      if (command === "ignore") socket.destroy()
      return command === "watch" ? "WATCHING 2\r\n" : undefined
    })
    const { code, stderr } = yield* at({ target }, "take emails")
    assert.strictEqual(code, 3, stderr)
    assert.match(stderr, /^beanstalk: ignore: /)
  }))

it.scopedLive("tail goes on if another search has deleted the job that told the newest id", () =>
  Effect.gen(function*() {
    let looks = 0
    const target = yield* answering((command) => {
      switch (command) {
        case "use":
          return "USING effect-beanstalk/newest\r\n"
        case "put":
          return "INSERTED 7\r\n"
        case "stats-tube":
          looks += 1
          return "NOT_FOUND\r\n"
        case "delete":
          return "NOT_FOUND\r\n"
        default:
          return undefined
      }
    })
    const running = yield* startAt({ target }, "tail emails")
    yield* eventually(Effect.sync(() => looks), (count) => count > 1)
    assert.strictEqual(running.stderr.text, "")
  }))

/** Answers the second of three puts by this reply, and the others by an id. */
const refusesSecondPut = (reply: string) =>
  Effect.gen(function*() {
    const commands: Array<string> = []
    const target = yield* answering((command) => {
      commands.push(command)
      const puts = commands.filter((sent) => sent === "put").length
      if (command === "use") return "USING emails\r\n"
      if (command === "put") return puts === 2 ? reply : `INSERTED ${puts}\r\n`
      return undefined
    })
    return { commands, target }
  })

it.scopedLive("import buries no job in place of one that the server has refused", () =>
  Effect.gen(function*() {
    const { commands, target } = yield* refusesSecondPut("OUT_OF_MEMORY\r\n")
    const record = (state: string) => `{"tube":"emails","body":"x","state":"${state}"}\n`
    const { code, stderr, stdout } = yield* at({ target }, "import", {
      stdin: record("ready") + record("buried") + record("ready")
    })
    assert.strictEqual(code, 4)
    assert.match(
      stderr,
      /^beanstalk: line 2 was not put: .* 1 job was put\. 1 line was put behind it, and will be put again\. Go on with --skip 1\.\n$/
    )
    assert.match(stdout, /^emails: 1 ready job put in /)
    assert.strictEqual(commands.filter((command) => command === "put").length, 3)
    assert.notInclude(commands, "bury")
    assert.notInclude(commands, "reserve-job")
  }))

it.scopedLive("put --lines that is interrupted goes on at a line that the server has refused, not behind it", () =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    let puts = 0
    const target = yield* answering((command, socket) => {
      if (command === "use") return "USING emails\r\n"
      if (command === "put") {
        puts += 1
        sockets.add(socket)
      }
      return undefined
    })
    const input = yield* Queue.unbounded<Uint8Array>()
    const running = yield* startAt({ target }, "put emails --lines", { stdin: Stream.fromQueue(input) })
    yield* Queue.offer(input, Buffer.from("a\nb\nc\n"))
    yield* eventually(Effect.sync(() => puts), (count) => count === 3)
    const interrupting = yield* Effect.fork(running.interrupt)
    yield* Effect.yieldNow()
    for (const socket of sockets) socket.write("INSERTED 1\r\nOUT_OF_MEMORY\r\nINSERTED 3\r\n")
    yield* Fiber.join(interrupting)
    assert.match(
      running.stderr.text,
      /^Interrupted midway: line 2 was not put: .* 1 job was put\. 1 line was put behind it, and will be put again\. Go on with --skip 1\.\n$/
    )
    assert.strictEqual(running.stdout.text, "1\n")
  }))
