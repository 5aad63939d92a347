/** Workers of a server that refuses commands: what they send, how often, what they log, and how often a handler runs. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, Worker } from "effect-beanstalk"
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { clientTo, sameInstance, statsOf } from "../support/clients.ts"
import * as Scripted from "../support/scripted.ts"
import { statsJobReply, tube, virtualTest } from "../support/scriptedWorkers.ts"
import { collectEvents } from "../support/workers.ts"

const errors = ["OUT_OF_MEMORY", "INTERNAL_ERROR", "BAD_FORMAT", "UNKNOWN_COMMAND"]

/** What a worker has sent to a server that answers it without end. */
interface Seen {
  /** When, in seconds, and what. */
  readonly lines: ReadonlyArray<readonly [at: number, line: string]>
  /** When, in seconds, connections were accepted. */
  readonly connections: ReadonlyArray<number>
  /** When, in seconds, handlers began. */
  readonly runs: ReadonlyArray<number>
  readonly warnings: ReadonlyArray<string>
  /** The modules with which the log lines are annotated. */
  readonly modules: ReadonlySet<unknown>
  readonly events: ReadonlyArray<Worker.Event>
}

interface Options {
  /** The reply to a line instead of the usual one, at this time in seconds. */
  readonly refuse: (line: string, at: number) => string | undefined
  readonly worker?: Worker.Options<string, string>
  /** Default: fails. */
  readonly handler?: Effect.Effect<void, string>
  readonly reconnect?: Schedule.Schedule<unknown>
  /** Runs before each connection is opened, with its number, counted from 1. */
  readonly opening?: (nth: number) => Effect.Effect<void>
  /** For how long the worker runs. */
  readonly during?: Duration.DurationInput
}

/** The words that a server answers a command with, when it has a job for every reserve. */
const usualReply = (line: string, nextId: () => number): string => {
  const [command, id] = line.split(" ")
  switch (command) {
    case "stats":
      return statsOf(sameInstance)
    case "watch":
      return "WATCHING 2\r\n"
    case "ignore":
      return "WATCHING 1\r\n"
    case "use":
      return `USING ${id}\r\n`
    case "put":
      return "INSERTED 1000000\r\n"
    case "reserve-with-timeout":
      return `RESERVED ${nextId()} 1\r\nx\r\n`
    case "stats-job":
      return statsJobReply(Number(id))
    case "touch":
      return "TOUCHED\r\n"
    case "release":
      return "RELEASED\r\n"
    case "bury":
      return "BURIED\r\n"
    case "delete":
      return "DELETED\r\n"
    default:
      throw new Error(`the worker sent ${line}`)
  }
}

const seconds = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)

const run = (
  { during = "30 minutes", handler, opening = () => Effect.void, reconnect, refuse, worker = {} }: Options
) =>
  Effect.gen(function*() {
    const lines: Array<readonly [number, string]> = []
    const connections: Array<number> = []
    const runs: Array<number> = []
    const warnings: Array<string> = []
    const modules = new Set<unknown>()
    const server = yield* Scripted.inMemory()
    let id = 0
    const nextId = () => id += 1
    const answer = (peer: Scripted.Peer) =>
      Effect.gen(function*() {
        const line = (yield* peer.line).trimEnd()
        if (line.startsWith("put ")) yield* peer.line
        const at = yield* seconds
        lines.push([at, line])
        const refusal = refuse(line, at)
        // Without a pause a worker could run jobs for ever while no time passes.
        if (refusal === undefined && line.startsWith("reserve")) yield* Clock.sleep("1 second")
        yield* peer.say(refusal ?? usualReply(line, nextId))
      })
    const accept = Effect.flatMap(server.accept, (peer) =>
      Effect.zipRight(
        Effect.map(seconds, (at) => connections.push(at)),
        Effect.forkScoped(Effect.forever(answer(peer)))
      ))
    yield* Effect.forkScoped(Effect.forever(accept))
    const { address, socket } = yield* Effect.provide(Connector.Connector, server.connector)
    let opened = 0
    const open = Effect.zipRight(Effect.suspend(() => opening(opened += 1)), socket)
    const connector = Layer.succeed(Connector.Connector, { address, socket: open })
    const client = yield* clientTo({ connector }, reconnect === undefined ? undefined : { reconnect })
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      modules.add(Option.getOrUndefined(HashMap.get(annotations, "module")))
      if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) warnings.push(String(message))
    })
    const failing = Effect.zipRight(Effect.map(seconds, (at) => runs.push(at)), handler ?? Effect.fail("a failure"))
    const made = yield* Worker.make(tube, () => failing, { retry: Schedule.forever, ...worker }).pipe(
      Effect.provideService(BeanstalkClient.BeanstalkClient, client),
      Effect.provide(Logger.add(logger))
    )
    const { events } = yield* collectEvents(made)
    yield* Clock.sleep(during)
    const stats = yield* made.stats
    const [shutdown] = yield* Effect.timed(made.shutdown)
    return { shutdown, lines, connections, runs, warnings, modules, events, stats }
  })

const count = (lines: Seen["lines"], command: string) => lines.filter(([, line]) => line.startsWith(command)).length

const gaps = (times: ReadonlyArray<number>) =>
  Array.zipWith(times, times.slice(1), (one, next) => Math.round((next - one) * 10) / 10)

const doubling = Schedule.exponential("1 second").pipe(Schedule.union(Schedule.spaced("1 minute")))

describe("rule 30: a reserve that is refused", () => {
  it.each([...errors, "DEADLINE_SOON", "TIMED_OUT"])(
    "is sent again on another connection, under the reconnect Schedule: %s",
    (error) =>
      virtualTest(Effect.gen(function*() {
        const { connections, events, lines, stats, warnings } = yield* run({
          refuse: (line) => line.startsWith("reserve") ? `${error}\r\n` : undefined,
          reconnect: doubling
        })
        assert.deepStrictEqual(gaps(connections).slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
        assert.strictEqual(count(lines, "reserve"), connections.length)
        assert.lengthOf(events.filter(Worker.Event.$is("Refused")), connections.length)
        assert.strictEqual(stats.refusals, connections.length)
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], "reserve-with-timeout")
      }))()
  )

  it.each(["NOT_FOUND", "BURIED 1", "DRAINING", "RESERVED 1 0\r\nx", "HELLO", ""])(
    "is sent again in the same way after an answer that no reserve has: %s",
    (reply) =>
      virtualTest(Effect.gen(function*() {
        const { connections, warnings } = yield* run({
          refuse: (line) => line.startsWith("reserve") ? `${reply}\r\n` : undefined,
          reconnect: doubling
        })
        assert.deepStrictEqual(gaps(connections).slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
        assert.lengthOf(warnings, 1)
      }))()
  )

  it(
    "waits for a second at least, whatever the options are",
    virtualTest(Effect.gen(function*() {
      const { lines } = yield* run({
        refuse: (line) => line === "reserve-with-timeout 0" ? "TIMED_OUT\r\n" : undefined,
        worker: { reserveSlice: "1 micros", idleLaneTimeout: "1 micros", concurrency: 2 },
        during: "1 minute"
      })
      assert.isTrue(lines.filter(([, line]) => line.startsWith("reserve")).every(([, line]) => line.endsWith(" 1")))
    }))
  )

  it(
    "is sent a few times a minute with default options, by 16 lanes too",
    virtualTest(Effect.gen(function*() {
      const { connections, warnings } = yield* run({
        refuse: (line) => line.startsWith("reserve") ? "OUT_OF_MEMORY\r\n" : undefined,
        worker: { concurrency: 16 }
      })
      assert.isBelow(connections.length, 30 * 30)
      assert.lengthOf(warnings, 1)
    }))
  )

  it(
    "begins a new outage when the server has reserved a job in between",
    virtualTest(Effect.gen(function*() {
      const { connections, runs } = yield* run({
        refuse: (line, at) => line.startsWith("reserve") && at < 60 ? "OUT_OF_MEMORY\r\n" : undefined,
        handler: Effect.sleep("1 minute"),
        reconnect: doubling
      })
      assert.deepStrictEqual(gaps(connections), [1, 2, 4, 8, 16, 32])
      assert.isAbove(runs.length, 20)
    }))
  )
})

describe("rule 30: a failed job about which a command is refused", () => {
  const cases = [["stats-job", "Retried"], ["release", "Retried"], ["bury", "Buried"]] as const

  const policies = { Retried: Schedule.forever, Buried: Schedule.stop }

  it.each(errors.flatMap((error) => cases.map(([command, tag]) => [command, error, tag] as const)))(
    "is held, and its handler does not run again, until the server accepts %s, after %s",
    (command, error, tag) =>
      virtualTest(Effect.gen(function*() {
        const { events, lines, runs, warnings } = yield* run({
          refuse: (line, at) => line.startsWith(command) && at < 600 ? `${error}\r\n` : undefined,
          worker: { retry: policies[tag] },
          reconnect: doubling,
          during: "10.5 minutes"
        })
        assert.strictEqual(runs.filter((at) => at < 600).length, 1)
        const refused = lines.filter(([at, line]) => line.startsWith(command) && at < 600).map(([at]) => at)
        if (command !== "stats-job") assert.deepStrictEqual(gaps(refused).slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
        assert.isBelow(refused.length, 100)
        assert.strictEqual(events.find(Worker.isJobEvent)?._tag, tag)
        assert.isAbove(events.filter(Worker.Event.$is("Refused")).length, 5)
        assert.lengthOf(warnings.filter((line) => line.includes(command)), 1)
      }))()
  )

  it.each(cases)(
    "is given back by a shutdown while %s is refused",
    (command, tag) =>
      virtualTest(Effect.gen(function*() {
        const { events, runs } = yield* run({
          refuse: (line) => line.startsWith(command) ? "INTERNAL_ERROR\r\n" : undefined,
          worker: { retry: policies[tag], shutdownTimeout: "1 second" },
          during: "10 minutes"
        })
        assert.lengthOf(runs, 1)
        assert.deepStrictEqual(events.filter(Worker.isJobEvent).map(({ _tag }) => _tag), ["Interrupted"])
      }))()
  )

  it.each(cases)(
    "has lost its lease if the server does not have it any more while %s is refused",
    (command, tag) =>
      virtualTest(Effect.gen(function*() {
        const { events } = yield* run({
          refuse: (line, at) =>
            at > 50
              ? undefined
              : line.startsWith(`${command} 1`)
              ? "OUT_OF_MEMORY\r\n"
              : line.startsWith("touch 1") || (line.endsWith(" 1") && at > 40)
              ? "NOT_FOUND\r\n"
              : undefined,
          worker: { retry: policies[tag], onLeaseLost: "continue" },
          during: "1 minute"
        })
        assert.strictEqual(events.find(Worker.isJobEvent)?._tag, "LeaseLost")
        assert.isAbove(events.length, 5)
      }))()
  )

  it.each(
    (["stats-job", "release", "bury", "delete"] as const).flatMap((command) =>
      ["NOT_FOUND", "TIMED_OUT", "HELLO"].map((reply) => [command, reply] as const)
    )
  )(
    "is reserved again under the reconnect Schedule after %s, if the server answers that with %s",
    (command, reply) =>
      virtualTest(Effect.gen(function*() {
        const { runs } = yield* run({
          refuse: (line) => line.startsWith(command) ? `${reply}\r\n` : undefined,
          handler: command === "delete" ? Effect.void : Effect.fail("a failure"),
          worker: { retry: command === "bury" ? Schedule.stop : Schedule.forever },
          reconnect: doubling
        })
        assert.isAbove(runs.length, 10)
        assert.isBelow(runs.length, 60)
      }))()
  )

  it(
    "does not run again and again on any of 16 lanes",
    virtualTest(Effect.gen(function*() {
      const { connections, runs } = yield* run({
        refuse: (line) => /^(stats-job|release|bury|delete)/.test(line) ? "OUT_OF_MEMORY\r\n" : undefined,
        worker: { concurrency: 16 }
      })
      assert.lengthOf(runs, 16)
      assert.lengthOf(connections, 16)
    }))
  )

  it(
    "is counted as a crash only if the server tells its history: stats-job is refused",
    virtualTest(
      Effect.gen(function*() {
        const { connections, runs } = yield* run({
          refuse: (line, at) => line.startsWith("stats-job") && at < 600 ? "OUT_OF_MEMORY\r\n" : undefined,
          worker: { maxDisconnects: 3 },
          handler: Effect.sleep("1 minute"),
          during: "12 minutes"
        })
        assert.isAtLeast(runs[0]!, 600)
        assert.lengthOf(connections, 1)
      })
    )
  )
})

describe("rule 30: a touch that is refused", () => {
  it(
    "is sent again ever more slowly, and told",
    virtualTest(Effect.gen(function*() {
      const { events, lines, stats, warnings } = yield* run({
        refuse: (line) =>
          line.startsWith("touch")
            ? "OUT_OF_MEMORY\r\n"
            : line.startsWith("stats-job")
            ? statsJobReply(1, { ttr: 3600 })
            : undefined,
        handler: Effect.never,
        during: "59 minutes"
      })
      // The first after 20 minutes. In the 39 minutes after that, one each 10 seconds.
      assert.isAbove(count(lines, "touch"), 200)
      assert.isBelow(count(lines, "touch"), 250)
      assert.isAbove(stats.refusals, 200)
      assert.lengthOf(events.filter(Worker.Event.$is("Refused")), count(lines, "touch"))
      assert.lengthOf(warnings, 1)
    }))
  )
})

describe("rule 17: a completed job whose delete is refused", () => {
  it.each(errors)(
    "is run again as seldom as the reconnect Schedule says: %s",
    (error) =>
      virtualTest(Effect.gen(function*() {
        const { events, runs, warnings } = yield* run({
          refuse: (line) => line.startsWith("delete") ? `${error}\r\n` : undefined,
          handler: Effect.void,
          reconnect: doubling
        })
        // A job is reserved in the same write as its delete is sent, and again on the next connection.
        assert.isBelow(runs.length, 150)
        assert.isTrue(events.filter(Worker.isJobEvent).every(({ _tag }) => _tag === "CompletionUnknown"))
        assert.isAtMost(warnings.filter((line) => line.includes("holds job")).length, 2)
      }))()
  )
})

describe("rule 31: a server without room for its binlog", () => {
  /** For a minute it answers a put with OUT_OF_MEMORY; a release or bury too, and then finds the job no more. */
  const full = (isFull: (at: number) => boolean) => {
    const hidden = new Set<string>()
    const refuse = (line: string, at: number): string | undefined => {
      const [command, id = ""] = line.split(" ")
      if (hidden.has(id) && command !== "reserve-with-timeout") return "NOT_FOUND\r\n"
      if (command === "put" && isFull(at)) return "OUT_OF_MEMORY\r\n"
      if ((command !== "release" && command !== "bury") || !isFull(at)) return undefined
      hidden.add(id)
      return command === "release" ? "OUT_OF_MEMORY\r\n" : "INTERNAL_ERROR\r\n"
    }
    return { hidden, refuse }
  }

  it.each([["release", Schedule.forever], ["bury", Schedule.stop]] as const)(
    "gets no more reserves after a refused %s, until it stores a probe",
    (_, retry) =>
      virtualTest(Effect.gen(function*() {
        const { hidden, refuse } = full((at) => at >= 10 && at < 70)
        const { events, lines, modules, runs, stats, warnings } = yield* run({
          refuse,
          handler: Effect.zipRight(Effect.sleep("1 second"), Effect.fail("a failure")),
          worker: { concurrency: 8, retry },
          during: "3 minutes"
        })
        assert.isAtMost(hidden.size, 8)
        assert.lengthOf(runs.filter((at) => at >= 12 && at < 70), 0)
        assert.isAbove(runs.filter((at) => at > 80).length, 100)
        const probes = lines.filter(([, line]) => line.startsWith("put"))
        assert.isAbove(probes.length, 5)
        assert.isBelow(probes.length, 60)
        assert.strictEqual(count(lines, "delete 1000000"), 1)
        assert.isFalse(stats.isPaused)
        assert.lengthOf(events.filter(Worker.Event.$is("LeaseLost")), hidden.size)
        assert.isAtMost(warnings.filter((line) => line.includes("takes no other jobs")).length, 1)
        assert.deepStrictEqual([...modules], ["Worker"])
      }))()
  )

  it(
    "keeps no probe that it answers with BURIED",
    virtualTest(Effect.gen(function*() {
      const { refuse } = full(() => true)
      const { lines, stats } = yield* run({
        refuse: (line, at) => line.startsWith("put") ? "BURIED 1000000\r\n" : refuse(line, at)
      })
      assert.isTrue(stats.isPaused)
      assert.isAbove(count(lines, "put"), 20)
      assert.strictEqual(count(lines, "delete 1000000"), count(lines, "put"))
    }))
  )

  it(
    "does not keep a worker from being closed whose probe cannot connect, and cannot be interrupted",
    virtualTest(Effect.gen(function*() {
      const { refuse } = full(() => true)
      const { shutdown } = yield* run({
        refuse,
        opening: (nth) => nth === 1 ? Effect.void : Effect.uninterruptible(Effect.never),
        during: "1 minute"
      })
      assert.isAtMost(Duration.toSeconds(shutdown), 29)
    }))
  )

  it(
    "is not probed any more when the worker is shut down",
    virtualTest(Effect.gen(function*() {
      const { refuse } = full(() => true)
      const { lines } = yield* run({ refuse, during: "1 minute" })
      const before = lines.length
      yield* Clock.sleep("10 minutes")
      assert.lengthOf(lines, before)
    }))
  )
})
