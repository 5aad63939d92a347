/**
 * `purge` and `move` under faults: the numbers that they report are right, no job is lost, and no job changes its state.
 */
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, BeanstalkConnection, type BeanstalkError, Connector, EmbeddedServer } from "effect-beanstalk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { everyJob, putJobs, states, tallyOf, type Wanted } from "../support/bulk.ts"
import { failsWith } from "../support/connections.ts"
import { amount, sample, spread, upTo } from "../support/edition.ts"
import { bytes, chars } from "../support/replies.ts"
import * as Scripted from "../support/scripted.ts"

const { Fault } = EmbeddedServer

/** More bytes than a bulk operation writes, and more than it reads. */
const mostBytes = { CutAfterRequest: 2260, CutAfterReply: 5540 }

/** A few jobs of each state, which their bodies name. */
const jobs: ReadonlyArray<Wanted> = Array.from({ length: 4 }, (_, index) =>
  states.map((state): Wanted => ({
    tube: "here",
    state,
    body: `${state} ${index}`,
    priority: index
  }))).flat()

const keys = jobs.map(({ body }) => `${body}`).toSorted()

/** A server with those jobs, and a connection that was made before any fault. */
const prepared = (wanted: ReadonlyArray<Wanted> = jobs) =>
  Effect.gen(function*() {
    const { connector, server } = yield* EmbeddedServer.make()
    const beanstalk = yield* Effect.provideService(BeanstalkConnection.make(), Connector.Connector, connector)
    const client = yield* Effect.provideService(BeanstalkClient.make(), Connector.Connector, connector)
    const ids = yield* putJobs(beanstalk, wanted)
    // Faults are injected later, and apply to every connection from its next byte on.
    return { connector, server, beanstalk, client, ids }
  })

type Prepared = Effect.Effect.Success<ReturnType<typeof prepared>>

/** Reads every job, on a connection that is made after the faults. */
const census = ({ connector, server }: Pick<Prepared, "connector" | "server">) =>
  Effect.gen(function*() {
    yield* server.heal
    yield* Scripted.turn
    const beanstalk = yield* BeanstalkConnection.make()
    return yield* everyJob(beanstalk)
  }).pipe(Effect.scoped, Effect.provideService(Connector.Connector, connector))

type Bulk = Effect.Effect<
  BeanstalkClient.Tally,
  BeanstalkError.InvalidArgument | BeanstalkError.ConnectFailed | BeanstalkError.BulkStopped
>

const bulks = {
  purge: (client: BeanstalkClient.Client): Bulk => client.purge("here"),
  move: (client: BeanstalkClient.Client): Bulk => client.move("here", "target")
}

/** How many of these jobs are gone, by the state they were in. */
const goneOf = (found: ReadonlyArray<{ readonly tube: string; readonly body: string }>) => {
  const here = new Set(found.filter(({ tube }) => tube === "here").map(({ body }) => body))
  return tallyOf(jobs.filter(({ body }) => !here.has(`${body}`)))
}

const sum = ({ buried, delayed, ready }: BeanstalkClient.Tally) => ready + delayed + buried

/** Asserts that the originals have kept their states. */
const assertOriginals = (found: Effect.Effect.Success<ReturnType<typeof census>>) => {
  for (const { body, state, tube } of found) if (tube === "here") assert.strictEqual(state, body.split(" ")[0])
}

/** Asserts that every key is stored, and that the originals have kept their states. */
const assertNothingLost = (found: Effect.Effect.Success<ReturnType<typeof census>>) => {
  assert.deepStrictEqual([...new Set(found.map(({ body }) => body))].toSorted(), keys)
  assertOriginals(found)
}

describe.each(["CutAfterRequest", "CutAfterReply"] as const)("%s", (fault) => {
  const cut = (bulk: keyof typeof bulks, size: number) =>
    Effect.gen(function*() {
      const world = yield* prepared()
      // The first connection is idle from here on, so that only the bytes of the bulk operation count.
      yield* world.server.inject(Fault[fault]({ bytes: size }))
      const exit = yield* Effect.exit(bulks[bulk](world.client))
      return { exit, found: yield* census(world) }
    }).pipe(Effect.scoped)

  const errorOf = (exit: Exit.Exit<unknown, BeanstalkError.BeanstalkError>) => {
    assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Fail")
    return Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
  }

  /** Offsets at which a line, or the body of a job, is cut in two. */
  const offsets = spread(upTo(mostBytes[fault]), amount(8, 40, 1000))

  it.scoped.each(["purge", "move"] as const)("%s, cut at many points", (bulk) =>
    Effect.gen(function*() {
      let stopped = 0
      for (const size of offsets) {
        const { exit, found } = yield* cut(bulk, size)
        assertOriginals(found)
        if (bulk === "move") assertNothingLost(found)
        if (Exit.isSuccess(exit)) {
          assert.deepStrictEqual(exit.value, tallyOf(jobs))
          continue
        }
        const error = errorOf(exit)
        if (error?._tag === "ConnectFailed") {
          assert.deepStrictEqual(goneOf(found), { ready: 0, delayed: 0, buried: 0 })
          continue
        }
        assert.strictEqual(error?._tag, "BulkStopped")
        if (error?._tag !== "BulkStopped") continue
        stopped += 1
        assert.strictEqual(error.cause._tag, "ConnectionLost")
        const gone = goneOf(found)
        for (const state of states) assert.isAtMost(error.done[state], gone[state])
        // Every reply is counted: after a cut of the requests the server sends no further one.
        if (fault === "CutAfterReply") assert.isAtMost(sum(gone) - sum(error.done), jobs.length)
      }
      assert.isAbove(stopped, offsets.length / 10)
    }))
})

/** Buried jobs, none of whose ids follows that of another: all but the first of them are looked up. */
const farApart: ReadonlyArray<Wanted> = Array.from({ length: 120 }, (_, index): Wanted => ({
  tube: index % 3 === 0 ? "here" : "elsewhere",
  state: "buried",
  body: `${index}`
}))

const bodiesFarApart = farApart.flatMap(({ body, tube }) => tube === "here" ? [`${body}`] : []).toSorted()

describe("move of buried jobs whose ids are far apart", () => {
  const cases = spread(upTo(18_000), amount(8, 40, 400)).flatMap((size) => [
    Fault.CutAfterRequest({ bytes: size }),
    Fault.CutAfterReply({ bytes: size })
  ])

  it.scoped("loses none and makes none ready, wherever its first connection is cut", () =>
    Effect.gen(function*() {
      let [stopped, moved] = [0, 0]
      for (const fault of cases) {
        yield* Effect.gen(function*() {
          const world = yield* prepared(farApart)
          yield* world.server.inject(fault)
          const exit = yield* Effect.exit(world.client.move("here", "target"))
          const found = (yield* census(world)).filter(({ tube }) => tube === "here" || tube === "target")
          assert.deepStrictEqual([...new Set(found.map(({ body }) => body))].toSorted(), bodiesFarApart)
          for (const { state, tube } of found) {
            assert.isTrue(state === "buried" || (tube === "target" && state === "delayed"))
          }
          if (Exit.isSuccess(exit)) {
            moved += 1
            assert.strictEqual(found.length, bodiesFarApart.length)
          } else stopped += 1
        }).pipe(Effect.scoped)
      }
      assert.isAbove(stopped, 0)
      assert.isAbove(moved, 0)
    }))

  it.scoped.each(["drain", "no memory"] as const)(
    "moves them to another server when theirs refuses to put: %s",
    (why) =>
      Effect.gen(function*() {
        const world = yield* prepared(farApart)
        const other = yield* prepared([])
        yield* why === "drain" ? world.server.drain : world.server.inject(Fault.NoMemory())
        assert.deepStrictEqual(yield* world.client.move("here", "target", { into: other.client }), {
          ready: 0,
          delayed: 0,
          buried: 40
        })
        assert.deepStrictEqual(
          (yield* census(other)).map(({ body, state, tube }) => `${tube} ${state} ${body}`).toSorted(),
          bodiesFarApart.map((body) => `target buried ${body}`)
        )
      })
  )
})

describe("R23: move of buried jobs, cut at any byte", () => {
  const buried = ["one", "two"].map((body): Wanted => ({ tube: "here", state: "buried", body, priority: 7 }))

  /** A connector whose second connection, by which the copies are buried, has a fault, as all have from then on. */
  const faultyAtSecond = ({ connector, server }: Prepared, fault: EmbeddedServer.Fault) => {
    let opened = 0
    const socket = Effect.suspend(() => {
      opened += 1
      return opened === 2 ? Effect.zipRight(server.inject(fault), connector.socket) : connector.socket
    })
    return { ...connector, socket }
  }

  /** More bytes than a connection writes or reads from then on. */
  const most = { CutAfterRequest: 300, CutAfterReply: 700 }

  const cases = (["CutAfterRequest", "CutAfterReply"] as const).flatMap((fault) =>
    [true, false].map((directly) => ({ fault, how: directly ? "directly" : "through an Effect", directly }))
  )

  it.scoped.each(cases)("makes no job ready: $fault, written $how", ({ directly, fault }) =>
    Effect.gen(function*() {
      let cut = 0
      for (const size of sample(upTo(most[fault]), 100)) {
        yield* Effect.gen(function*() {
          const world = yield* prepared(buried)
          const connector = faultyAtSecond(world, Fault[fault]({ bytes: size }))
          const client = yield* Effect.provideService(
            BeanstalkClient.make(),
            Connector.Connector,
            directly ? connector : older(connector, (line) => line)
          )
          const exit = yield* Effect.exit(client.move("here", "target"))
          const found = yield* census(world)
          const message = `after ${size} bytes`
          const ready = (yield* world.server.journal).filter(({ state, tube }) =>
            tube === "target" && state === "ready"
          )
          assert.deepStrictEqual(ready, [], message)
          assert.deepStrictEqual([...new Set(found.map(({ body }) => body))].toSorted(), ["one", "two"], message)
          for (const { body, state, tube } of found) {
            assert.isTrue(
              state === "buried" || (tube === "target" && state === "delayed"),
              `${body} ${state}, ${message}`
            )
          }
          if (Exit.isSuccess(exit)) assert.deepStrictEqual(exit.value, { ready: 0, delayed: 0, buried: 2 })
          else cut += 1
        }).pipe(Effect.scoped)
      }
      assert.isAbove(cut, 20)
    }))

  it.scoped("leaves no copy if only the connection that buries is lost", () =>
    Effect.gen(function*() {
      const world = yield* prepared(buried)
      let opened = 0
      const socket = Effect.suspend(() => {
        opened += 1
        return opened === 1 ? world.connector.socket : Effect.zipRight(Effect.yieldNow(), Effect.die("no more sockets"))
      })
      const client = yield* Effect.provideService(
        BeanstalkClient.make(),
        Connector.Connector,
        { ...world.connector, socket }
      )
      const error = yield* failsWith(client.move("here", "target"), "BulkStopped")
      assert.deepInclude(error.cause, { _tag: "ConnectionLost", command: "bury", outcome: "NotSent" })
      const found = yield* census(world)
      assert.deepStrictEqual(
        found.map(({ body, state, tube }) => `${tube} ${state} ${body}`),
        ["here buried one", "here buried two"]
      )
    }))

  it.scoped("buries the copies although maxInFlight is 1", () =>
    Effect.gen(function*() {
      const world = yield* prepared(buried)
      const client = yield* Effect.provideService(
        BeanstalkClient.make({ maxInFlight: 1, maxQueuedBytes: 1 }),
        Connector.Connector,
        world.connector
      )
      assert.deepStrictEqual(yield* client.move("here", "target"), { ready: 0, delayed: 0, buried: 2 })
      assert.deepStrictEqual((yield* census(world)).map(({ state, tube }) => `${tube} ${state}`), [
        "target buried",
        "target buried"
      ])
    }))
})

/** The connection of a bulk operation to a scripted server. */
const watching = (server: Scripted.Server) =>
  Effect.tap(server.accept, (peer) =>
    Effect.zipRight(
      peer.expect("stats\r\nwatch here\r\nignore default\r\n"),
      peer.say(`${Scripted.stats}WATCHING 2\r\nWATCHING 1\r\n`)
    ))

describe("a tally", () => {
  it.scoped("counts every job whose reply arrived before the connection was lost", () =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* Effect.provide(BeanstalkClient.make(), server.connector)
      const purging = yield* Effect.fork(
        failsWith(client.purge("here", { states: ["ready"], bound: 3 }), "BulkStopped")
      )
      const peer = yield* watching(server)
      yield* peer.expect("reserve-with-timeout 0\r\n".repeat(3))
      yield* peer.say("RESERVED 1 0\r\n\r\nRESERVED 2 0\r\n\r\nRESERVED 3 0\r\n\r\n")
      yield* peer.expect("delete 1\r\ndelete 2\r\ndelete 3\r\n")
      yield* peer.say("DELETED\r\nDELETED\r\n")
      yield* peer.reset
      assert.deepStrictEqual((yield* Fiber.join(purging)).done, { ready: 2, delayed: 0, buried: 0 })
    }))
})

describe("move, while the server refuses to put jobs", () => {
  const ways: Readonly<Record<string, (server: EmbeddedServer.Server) => Effect.Effect<void>>> = {
    Draining: (server) => server.drain,
    OutOfMemory: (server) => server.inject(Fault.NoMemory())
  }

  it.scoped.each(Object.keys(ways).flatMap((tag) => states.map((state) => ({ tag, state }))))(
    "$tag, $state: it stops, and nothing has happened",
    ({ state, tag }) =>
      Effect.gen(function*() {
        const world = yield* prepared()
        yield* ways[tag]?.(world.server) ?? Effect.void
        const error = yield* failsWith(world.client.move("here", "target", { states: [state] }), "BulkStopped")
        assert.strictEqual(error.cause._tag, tag)
        assert.deepStrictEqual(error.done, { ready: 0, delayed: 0, buried: 0 })
        if (tag === "Draining") {
          const tube = yield* world.beanstalk.statsTube("here")
          assert.deepStrictEqual(
            [tube.currentJobsReady, tube.currentJobsDelayed, tube.currentJobsBuried, tube.currentJobsReserved],
            [4, 4, 4, 0]
          )
          return
        }
        const found = yield* census(world)
        assert.deepStrictEqual(
          found.map(({ body, tube }) => `${tube} ${body}`).toSorted(),
          keys.map((key) => `here ${key}`)
        )
        // A server without memory buries the jobs that it makes ready again.
        if (state !== "ready") assertOriginals(found)
      })
  )

  it.scoped.each(states)(
    "stops when the server buries the copy for lack of memory: %s",
    (state) =>
      Effect.gen(function*() {
        const world = yield* prepared()
        yield* world.server.inject(Fault.NoMemoryForQueues())
        const error = yield* failsWith(world.client.move("here", "target", { states: [state] }), "BulkStopped")
        assert.strictEqual(error.cause._tag, "Buried")
        const found = yield* census(world)
        assertNothingLost(found)
        assert.strictEqual(found.length, jobs.length)
        const copies = found.filter(({ tube }) => tube === "target")
        assert.strictEqual(copies.length, sum(error.done))
        assert.isAbove(copies.length, 0)
        for (const copy of copies) assert.strictEqual(copy.state, "buried")
      })
  )
})

describe("the delay of a copy", () => {
  it.scoped("is a second longer than the time left, which the server rounds down", () =>
    Effect.gen(function*() {
      const world = yield* prepared([{ tube: "here", state: "delayed", body: "x", delay: 100 }])
      yield* world.client.move("here", "target")
      assert.deepStrictEqual((yield* census(world)).map(({ timeLeft, tube }) => `${tube} ${timeLeft}`), ["target 101"])
    }))

  it.scoped("is not longer than the longest delay", () =>
    Effect.gen(function*() {
      const world = yield* prepared([{ tube: "here", state: "delayed", body: "x", delay: 2 ** 32 - 1 }])
      assert.strictEqual((yield* world.client.move("here", "target")).delayed, 1)
      assert.deepStrictEqual((yield* census(world)).map(({ timeLeft, tube }) => `${tube} ${timeLeft}`), [
        `target ${2 ** 32 - 1}`
      ])
    }))
})

describe("interruption", () => {
  /** The log lines, and the jobs afterwards, when a bulk operation is interrupted after so many turns. */
  const interruptedAfter = (bulk: keyof typeof bulks, turns: number) =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(`${[message].flat().join(" ")}`))
      const world = yield* prepared()
      const fiber = yield* bulks[bulk](world.client).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Effect.fork
      )
      yield* Effect.replicateEffect(Effect.yieldNow(), turns, { discard: true })
      yield* Effect.replicateEffect(Scripted.turn, turns % 40, { discard: true })
      const exit = yield* Fiber.interrupt(fiber)
      yield* Scripted.turn
      const connections = yield* world.server.connections
      // Only the connection that reads the jobs is left, and no job is reserved.
      assert.strictEqual(connections.length, 1)
      const found = yield* census(world)
      assert.isFalse(found.some(({ state }) => state === "reserved"))
      return { exit, lines, found }
    }).pipe(Effect.scoped)

  it.scoped.each(["purge", "move"] as const)("%s, at any point", (bulk) =>
    Effect.gen(function*() {
      let interruptions = 0
      for (const turns of sample(upTo(79), 8)) {
        const { exit, found, lines } = yield* interruptedAfter(bulk, turns)
        assertOriginals(found)
        const gone = goneOf(found)
        if (bulk === "move") {
          assertNothingLost(found)
          // Not even in two tubes: an interruption waits for the commands that are sent.
          assert.strictEqual(found.length, jobs.length)
          for (const { body, state } of found) assert.strictEqual(state, body.split(" ")[0])
        }
        if (Exit.isSuccess(exit)) continue
        interruptions += 1
        if (sum(gone) > 0) {
          const numbers = `after ${gone.ready} ready, ${gone.delayed} delayed and ${gone.buried} buried jobs`
          assert.deepStrictEqual(lines, [`${bulk} in tube here of beanstalkd at memory was interrupted ${numbers}`])
        }
      }
      assert.isAbove(interruptions, amount(1, 10))
    }))
})

describe("a job that another client reserves between the peek and the deletion", () => {
  /** Lets another client act as soon as the first copy has been put. */
  it.scoped.each(["delayed", "buried"] as const)(
    "%s: it stays with them, and its copy is undone",
    (state) =>
      Effect.gen(function*() {
        const world = yield* prepared()
        const [stolen] = jobs.flatMap((job, index) => job.state === state ? [world.ids[index] ?? ""] : [])
        const taking = yield* Effect.fork(
          Scripted.turn.pipe(
            Effect.zipRight(world.server.journal),
            Effect.repeat({
              until: (entries) => entries.some(({ event, tube }) => event === "put" && tube === "target")
            }),
            Effect.zipRight(world.beanstalk.reserveJob(stolen ?? ""))
          )
        )
        const done = yield* world.client.move("here", "target", { states: [state] })
        yield* Fiber.join(taking)
        const found = yield* everyJob(world.beanstalk)
        const key = `${state} 0`
        assert.deepStrictEqual(
          found.filter(({ body }) => body === key).map(({ id, state, tube }) => `${tube} ${state} ${id}`),
          [`here reserved ${stolen}`]
        )
        assert.strictEqual(sum(done), 3)
        assert.deepStrictEqual(found.map(({ body }) => body).toSorted(), keys)
      })
  )
})

describe("without a server", () => {
  it.scoped.each(["purge", "move"] as const)("%s fails with ConnectFailed", (bulk) =>
    Effect.gen(function*() {
      const { client, server } = yield* prepared()
      yield* server.inject(Fault.Refuse())
      assert.strictEqual((yield* failsWith(bulks[bulk](client), "ConnectFailed")).reason, "Unreachable")
    }))
})

/** Asserts that a bulk operation ends although the server gives the same replies for ever. */
describe("a server that gives the same replies for ever", () => {
  const answers: Readonly<Record<string, string>> = {
    "peek-ready": "FOUND 7 1\r\nx\r\n",
    "peek-delayed": "FOUND 7 1\r\nx\r\n",
    "peek-buried": "FOUND 7 1\r\nx\r\n",
    peek: "FOUND 7 1\r\nx\r\n",
    use: "USING here\r\n",
    delete: "NOT_FOUND\r\n",
    put: "INSERTED 8\r\n",
    bury: "NOT_FOUND\r\n",
    "reserve-job": "NOT_FOUND\r\n",
    "stats-job": "NOT_FOUND\r\n",
    "stats-tube": "NOT_FOUND\r\n"
  }

  /** Replies to every line by its first word; bodies have one letter. */
  const answering = (peer: Scripted.Peer, reserve: string) =>
    Effect.forever(Effect.flatMap(peer.line, (line) => {
      const word = line.split(/[ \r]/, 1)[0] ?? ""
      return word === "x" ? Effect.void : peer.say(word === "reserve-with-timeout" ? reserve : answers[word] ?? "")
    }))

  it.scoped.each(
    (["purge", "move"] as const).flatMap((bulk) => [
      { bulk, reserve: "TIMED_OUT\r\n" },
      { bulk, reserve: "RESERVED 7 1\r\nx\r\n" }
    ])
  )("$bulk ends, although the same job comes again and again: $reserve", ({ bulk, reserve }) =>
    Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const client = yield* Effect.provide(BeanstalkClient.make(), server.connector)
      const running = yield* Effect.fork(bulks[bulk](client))
      yield* Effect.fork(answering(yield* watching(server), reserve))
      assert.deepStrictEqual(yield* Fiber.join(running), { ready: 0, delayed: 0, buried: 0 })
    }))
})

/** A connector that changes the lines sent to a server into commands that this server does not know. */
const older = (
  { address, socket }: Context.Tag.Service<Connector.Connector>,
  translate: (line: string) => string
): Context.Tag.Service<Connector.Connector> => ({
  address,
  socket: Effect.map(socket, ({ run, runRaw, writer }) =>
    Socket.Socket.of({
      [Socket.TypeId]: Socket.TypeId,
      run,
      runRaw,
      writer: Effect.map(writer, (write) => (chunk) =>
        write(chunk instanceof Uint8Array ? bytes(chars(chunk).split("\r\n").map(translate).join("\r\n")) : chunk))
    }))
})

describe("a server without reserve-job", () => {
  const without = (answer: "reserve-jobs" | "spare-job") => (line: string) =>
    line.startsWith("reserve-job ") ? line.replace("reserve-job", answer) : line

  it.scoped.each([["reserve-jobs", "BadFormat"], ["spare-job", "UnknownCommand"]] as const)(
    "%s: buried jobs are not moved, for a %s, and nothing is left behind",
    ([word, tag]) =>
      Effect.gen(function*() {
        const world = yield* prepared()
        const client = yield* Effect.provideService(
          BeanstalkClient.make(),
          Connector.Connector,
          older(world.connector, without(word))
        )
        const error = yield* failsWith(client.move("here", "target", { states: ["buried"] }), "BulkStopped")
        assert.strictEqual(error.cause._tag, tag)
        const found = yield* census(world)
        assertNothingLost(found)
        assert.strictEqual(found.length, jobs.length)
      })
  )

  it.scoped("moves delayed and ready jobs, those of a paused tube too", () =>
    Effect.gen(function*() {
      const world = yield* prepared()
      const client = yield* Effect.provideService(
        BeanstalkClient.make(),
        Connector.Connector,
        older(world.connector, without("spare-job"))
      )
      yield* world.beanstalk.pauseTube("here", "1 hour")
      const done = yield* client.move("here", "target", { states: ["ready", "delayed"] })
      assert.deepStrictEqual(done, { ready: 4, delayed: 4, buried: 0 })
    }))
})
