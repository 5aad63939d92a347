/** The Stream of jobs, on a server whose part the test plays. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Tube, Worker } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { clientTo } from "../support/clients.ts"
import { answer, give, hire, statsOfJob, tube, virtually } from "../support/playedWorkers.ts"
import * as Scripted from "../support/scripted.ts"
import { takes } from "../support/workers.ts"

const clientOf = (server: Scripted.Server) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(clientTo(server), (client) => Effect.provideService(effect, BeanstalkClient.BeanstalkClient, client))

/** Bodies that take this long to decode. */
const decodedIn = (duration: "20 seconds" | "10 seconds", ttr: "1 minute" | "3 seconds") =>
  Tube.make("t", {
    ttr,
    payload: Schema.transformOrFail(Schema.String, Schema.String, {
      strict: true,
      decode: (text) => Effect.as(takes(duration), text),
      encode: Effect.succeed
    })
  })

describe("rule 27: a Stream of jobs", () => {
  it(
    "waits for the next connection when one is lost on which a delete was to be confirmed",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Worker.jobs(tube).pipe(
        Stream.tap((job) => job.complete),
        Stream.take(2),
        Stream.runDrain,
        clientOf(server),
        Effect.fork
      )
      const first = yield* hire(server)
      yield* give(first, 1)
      yield* first.expect("delete 1\r\n")
      yield* first.hangUp
      const second = yield* hire(server)
      yield* second.expect("delete 1\r\n")
      yield* second.hangUp
      const third = yield* hire(server)
      yield* give(third, 2)
      yield* answer(third, "delete 2", "DELETED\r\n")
      yield* Fiber.join(stream)
    }))
  )

  it(
    "has one reserve outstanding, though a pull was interrupted",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Effect.gen(function*() {
        const pull = yield* Stream.toPull(Worker.jobs(tube))
        yield* Effect.timeout(pull, "10 seconds").pipe(Effect.ignore)
        const [job] = Chunk.toReadonlyArray(yield* pull)
        yield* job?.delete ?? Effect.void
        return job?.id
      }).pipe(Effect.scoped, clientOf(server), Effect.fork)
      const first = yield* hire(server)
      assert.match(yield* first.line, /^reserve/)
      yield* first.closed
      const second = yield* hire(server)
      yield* give(second, 1)
      yield* answer(second, "delete 1", "DELETED\r\n")
      assert.strictEqual(yield* Fiber.join(stream), "1")
    }))
  )

  it(
    "gives back the job that was being decoded for a pull that was interrupted",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Effect.gen(function*() {
        const pull = yield* Stream.toPull(Worker.jobs(decodedIn("20 seconds", "1 minute")))
        yield* Effect.timeout(pull, "10 seconds").pipe(Effect.ignore)
        return Chunk.toReadonlyArray(yield* pull).map(({ id }) => id)
      }).pipe(Effect.scoped, clientOf(server), Effect.fork)
      const first = yield* hire(server)
      yield* first.line
      yield* first.say(`RESERVED 1 3\r\n"x"\r\n`)
      yield* first.closed
      const second = yield* hire(server)
      yield* second.line
      yield* second.say(`RESERVED 2 3\r\n"x"\r\n`)
      yield* answer(second, "stats-job 2", statsOfJob(2))
      assert.deepStrictEqual(yield* Fiber.join(stream), ["2"])
    }))
  )

  it(
    "rule 14: touches a job that takes long to decode",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      yield* Worker.jobs(decodedIn("10 seconds", "3 seconds")).pipe(Stream.runHead, clientOf(server), Effect.fork)
      const peer = yield* hire(server)
      yield* peer.line
      yield* peer.say(`RESERVED 1 3\r\n"x"\r\n`)
      yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr: 3 }))
      for (let i = 0; i < 9; i += 1) yield* answer(peer, "touch 1", "TOUCHED\r\n")
    }))
  )

  it(
    "rule 14: does not emit a job that was released while it was being decoded, for want of a heartbeat",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const emitted: Array<string> = []
      const stream = yield* Worker.jobs(decodedIn("10 seconds", "3 seconds"), { heartbeat: false }).pipe(
        Stream.runForEach((job) => Effect.sync(() => emitted.push(job.id))),
        clientOf(server),
        Effect.fork
      )
      const peer = yield* hire(server)
      yield* peer.line
      yield* peer.say(`RESERVED 1 3\r\n"x"\r\n`)
      yield* answer(peer, "stats-job 1", statsOfJob(1, { ttr: 3 }))
      yield* answer(peer, "release 1 7 1", "RELEASED\r\n")
      assert.match(yield* peer.line, /^reserve/)
      yield* Fiber.interrupt(stream)
      assert.deepStrictEqual(emitted, [])
    }))
  )

  it(
    "rule 22: settles a job once, though its time is over while the server is asked about it",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Worker.jobs(Tube.text("t", { ttr: "3 seconds" }), { heartbeat: false }).pipe(
        Stream.mapEffect((job) => job.bury),
        Stream.take(1),
        Stream.runDrain,
        clientOf(server),
        Effect.fork
      )
      const peer = yield* hire(server)
      yield* give(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* takes("2500 millis")
      yield* peer.say(statsOfJob(1, { ttr: 3 }))
      yield* peer.expect("bury 1 7\r\n")
      assert.strictEqual(yield* peer.rest, "")
      yield* peer.say("BURIED\r\n")
      yield* Fiber.join(stream)
    }))
  )

  it(
    "rule 22: tells the caller of delete that nothing is known, if it ends while the delete is being confirmed",
    virtually(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const outer = yield* Effect.scope
      const deleted = yield* Effect.makeLatch()
      let ending = ""
      const stream = yield* Worker.jobs(tube).pipe(
        Stream.runForEach((job) =>
          Effect.exit(job.delete).pipe(
            Effect.tap((exit) => Effect.sync(() => ending = Scripted.ending(exit))),
            Effect.zipRight(deleted.open),
            Effect.forkIn(outer)
          )
        ),
        clientOf(server),
        Effect.fork
      )
      const first = yield* hire(server)
      yield* give(first, 1)
      yield* first.expect("delete 1\r\n")
      yield* first.hangUp
      const second = yield* hire(server)
      yield* second.expect("delete 1\r\n")
      yield* Fiber.interrupt(stream)
      yield* deleted.await
      assert.strictEqual(ending, "LeaseLost")
    }))
  )
})
