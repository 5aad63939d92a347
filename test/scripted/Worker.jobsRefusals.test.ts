/** `Worker.jobs` on a server that refuses commands: what it sends, how often, what it logs, and which jobs the program gets. */
import { assert, describe, it } from "@effect/vitest"
import { type BeanstalkError, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { count, doubling, errors, full, gaps, seconds, serve, type ServeOptions } from "../support/refusing.ts"
import * as Scripted from "../support/scripted.ts"
import { tube, virtualTest } from "../support/scriptedWorkers.ts"

type Ended = Effect.Effect<void, BeanstalkError.LeaseLost | BeanstalkError.Buried | BeanstalkError.InvalidArgument>

interface Options extends ServeOptions {
  /** What the program does with each job. */
  readonly settle: (job: Worker.Reservation<string>) => Ended
  /** Default: 30 minutes. */
  readonly during?: Duration.DurationInput
}

/** Runs a Stream of jobs, and interrupts it. */
const run = ({ during = "30 minutes", settle, ...options }: Options) =>
  Effect.gen(function*() {
    const { provide, seen } = yield* serve(options)
    /** When, in seconds, the program got each job. */
    const got: Array<number> = []
    /** What it was told when it settled them. */
    const told: Array<Exit.Exit<void, unknown>> = []
    const use = (job: Worker.Reservation<string>) =>
      Effect.map(seconds, (at) => got.push(at)).pipe(
        Effect.zipRight(Effect.exit(settle(job))),
        Effect.map((exit) => told.push(exit))
      )
    const stream = yield* Effect.fork(provide(Stream.runForEach(Worker.jobs(tube), use)))
    yield* Clock.sleep(during)
    yield* Fiber.interrupt(stream)
    return { ...seen, got, told }
  })

const release = (job: Worker.Reservation<string>): Ended => job.release({ delay: "30 seconds" })
const bury = (job: Worker.Reservation<string>): Ended => job.bury
const complete = (job: Worker.Reservation<string>): Ended => job.complete
const remove = (job: Worker.Reservation<string>): Ended => job.delete

const refused = [["stats-job", release], ["release", release], ["bury", bury]] as const

describe("rule 30: a Stream of jobs whose command is refused", () => {
  it.each(errors.flatMap((error) => refused.map(([command, settle]) => [command, error, settle] as const)))(
    "holds the job, and sends %s again under the reconnect Schedule, after %s",
    (command, error, settle) =>
      virtualTest(Effect.gen(function*() {
        const { connections, got, lines, told, warnings } = yield* run({
          settle,
          refuse: (line, at) => line.startsWith(command) && at < 600 ? `${error}\r\n` : undefined,
          reconnect: doubling,
          during: "11 minutes"
        })
        assert.lengthOf(got.filter((at) => at < 600), 1)
        const sent = lines.filter(([at, line]) => line.startsWith(command) && at < 600)
        if (command !== "stats-job") {
          assert.deepStrictEqual(gaps(sent.map(([at]) => at)).slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
          assert.strictEqual(new Set(sent.map(([, line]) => line)).size, 1)
        }
        assert.isBelow(sent.length, 100)
        assert.isAbove(count(lines, "touch 1"), 10)
        assert.lengthOf(warnings.filter((line) => line.includes(`${command}:`)), 1)
        assert.lengthOf(connections, 1 + count(lines, "put"))
        assert.isTrue(told.length > 1 && told.every(Exit.isSuccess))
      }))()
  )

  it.each([["complete", complete], ["delete", remove]])(
    "gets jobs as seldom as the reconnect Schedule says, while deletes are refused: %s",
    (_, settle) =>
      virtualTest(Effect.gen(function*() {
        const { got, warnings } = yield* run({
          settle,
          refuse: (line) => line.startsWith("delete") ? "INTERNAL_ERROR\r\n" : undefined,
          reconnect: doubling
        })
        assert.isAbove(got.length, 20)
        assert.isBelow(got.length, 150)
        assert.lengthOf(warnings.filter((line) => line.includes("delete:") && line.includes("holds job")), 1)
      }))()
  )

  it(
    "reserves again under the reconnect Schedule",
    virtualTest(Effect.gen(function*() {
      const { connections, warnings } = yield* run({
        settle: complete,
        refuse: (line) => line.startsWith("reserve") ? "OUT_OF_MEMORY\r\n" : undefined,
        reconnect: doubling
      })
      assert.deepStrictEqual(gaps(connections).slice(0, 8), [1, 2, 4, 8, 16, 32, 60, 60])
      assert.lengthOf(warnings, 1)
    }))
  )

  it(
    "logs a warning for each outage, although the program is told itself how its jobs end",
    virtualTest(Effect.gen(function*() {
      const { warnings } = yield* run({
        settle: release,
        refuse: (line, at) => line.startsWith("release") && at % 600 < 60 ? "BAD_FORMAT\r\n" : undefined
      })
      assert.lengthOf(warnings, 3)
    }))
  )

  it(
    "leaves no fiber, sends nothing more, and tells the program that the lease is lost, if it ends meanwhile",
    virtualTest(Effect.gen(function*() {
      const { provide, seen } = yield* serve({
        refuse: (line) => line.startsWith("release") ? "BAD_FORMAT\r\n" : undefined
      })
      const endings: Array<Exit.Exit<void, unknown>> = []
      const outer = yield* Effect.scope
      const settleOutside = (job: Worker.Reservation<string>) =>
        Effect.exit(release(job)).pipe(Effect.map((exit) => endings.push(exit)), Effect.forkIn(outer))
      yield* provide(Effect.gen(function*() {
        const fibers = yield* Fiber.roots
        const stream = yield* Effect.fork(Stream.runForEach(Worker.jobs(tube), settleOutside))
        yield* Clock.sleep("1 minute")
        yield* Fiber.interrupt(stream)
        yield* Scripted.turn
        assert.deepStrictEqual(endings.map(Scripted.ending), ["LeaseLost"])
        // The server keeps one for each connection.
        assert.lengthOf(yield* Fiber.roots, fibers.length + seen.connections.length)
      }))
      const sent = seen.lines.length
      yield* Clock.sleep("10 minutes")
      assert.lengthOf(seen.lines, sent)
    }))
  )
})

describe("rule 31: a Stream of jobs of a server without room for its binlog", () => {
  it.each([["release", release], ["bury", bury]])(
    "reserves no more jobs after a refused %s, until the server stores a probe",
    (_, settle) =>
      virtualTest(Effect.gen(function*() {
        const { hidden, refuse } = full((at) => at >= 10 && at < 70)
        const { got, lines, told, warnings } = yield* run({ settle, refuse, during: "3 minutes" })
        assert.strictEqual(hidden.size, 1)
        assert.lengthOf(got.filter((at) => at >= 12 && at < 70), 0)
        assert.isAbove(got.filter((at) => at > 80).length, 50)
        assert.isAbove(count(lines, "put"), 5)
        assert.isBelow(count(lines, "put"), 60)
        assert.strictEqual(count(lines, "delete 1000000"), 1)
        assert.lengthOf(told.filter(Exit.isFailure), 1)
        assert.lengthOf(warnings.filter((line) => line.includes("takes no other jobs")), 1)
      }))()
  )

  it(
    "reserves jobs again after a pause, if the server is in drain mode",
    virtualTest(Effect.gen(function*() {
      const { hidden, refuse } = full((at) => at < 70)
      const { got } = yield* run({
        settle: release,
        refuse: (line, at) => line.startsWith("put") ? "DRAINING\r\n" : refuse(line, at),
        during: "3 minutes"
      })
      assert.isAbove(hidden.size, 1)
      assert.isAtMost(hidden.size, 70)
      assert.isAbove(got.filter((at) => at > 80).length, 50)
    }))
  )

  it(
    "ends with its client",
    virtualTest(Effect.gen(function*() {
      const { provide } = yield* serve({ refuse: full(() => true).refuse })
      const clientScope = yield* Scope.make()
      const stream = yield* Worker.jobs(tube).pipe(
        Stream.runForEach((job) => Effect.ignore(release(job))),
        provide,
        Scope.extend(clientScope),
        Effect.fork
      )
      yield* Clock.sleep("1 minute")
      yield* Scope.close(clientScope, Exit.void)
      yield* Fiber.join(stream)
    }))
  )
})
