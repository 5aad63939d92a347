/** Workers of a server that refuses commands: what they send, how often, what they log, and how often a handler runs. */
import { assert, describe, it } from "@effect/vitest"
import { Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { count, doubling, errors, full, gaps, run } from "../support/refusing.ts"
import { statsJobReply, virtualTest } from "../support/scriptedWorkers.ts"

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
    "is worked empty in drain mode, in which it stores no probe, and is asked ever more slowly",
    virtualTest(Effect.gen(function*() {
      const { hidden, refuse } = full((at) => at >= 10)
      let runs = 0
      const { events, lines } = yield* run({
        refuse: (line, at) => line.startsWith("put") && at >= 70 ? "DRAINING\r\n" : refuse(line, at),
        // One job of ten fails.
        handler: Effect.suspend(() => (runs += 1) % 10 === 0 ? Effect.fail("a failure") : Effect.void),
        reconnect: doubling
      })
      const drained = lines.filter(([at, line]) => line.startsWith("put") && at >= 70).map(([at]) => at)
      assert.isTrue(gaps(drained).every((gap) => gap >= 60), `${gaps(drained)}`)
      assert.isAbove(events.filter(Worker.Event.$is("Completed")).length, 200)
      assert.isAtMost(hidden.size, drained.length + 1)
    }))
  )

  it(
    "is worked empty at once in drain mode, if it has room again",
    virtualTest(Effect.gen(function*() {
      const { refuse } = full((at) => at >= 10 && at < 70)
      const { runs } = yield* run({
        refuse: (line, at) => line.startsWith("put") ? "DRAINING\r\n" : refuse(line, at),
        handler: Effect.zipRight(Effect.sleep("1 second"), Effect.fail("a failure")),
        during: "3 minutes"
      })
      assert.isAbove(runs.filter((at) => at > 80).length, 40)
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
