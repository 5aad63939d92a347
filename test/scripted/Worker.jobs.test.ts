/** `Worker.jobs`, with a scripted server. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Tube, Worker } from "effect-beanstalk"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { clientTo } from "../support/clients.ts"
import * as Scripted from "../support/scripted.ts"
import { acceptLane, expectAndReply, giveJob, statsJobReply, tube, virtualTest } from "../support/scriptedWorkers.ts"

const clientOf = (server: Scripted.Server) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(clientTo(server), (client) => Effect.provideService(effect, BeanstalkClient.BeanstalkClient, client))

/** A tube whose bodies take this long to decode. */
const decodedIn = (duration: "20 seconds" | "10 seconds", ttr: "1 minute" | "3 seconds") =>
  Tube.make("t", {
    ttr,
    payload: Schema.transformOrFail(Schema.String, Schema.String, {
      strict: true,
      decode: (text) => Effect.as(Effect.sleep(duration), text),
      encode: Effect.succeed
    })
  })

describe("rule 27: a Stream of jobs", () => {
  it(
    "waits for the next connection when the connection is lost that repeats a delete",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Worker.jobs(tube).pipe(
        Stream.tap((job) => job.complete),
        Stream.take(2),
        Stream.runDrain,
        clientOf(server),
        Effect.fork
      )
      const first = yield* acceptLane(server)
      yield* giveJob(first, 1)
      yield* first.expect("delete 1\r\n")
      yield* first.hangUp
      const second = yield* acceptLane(server)
      yield* second.expect("delete 1\r\n")
      yield* second.hangUp
      const third = yield* acceptLane(server)
      yield* giveJob(third, 2)
      yield* expectAndReply(third, "delete 2", "DELETED\r\n")
      yield* Fiber.join(stream)
    }))
  )

  it(
    "holds the job whose statistics the server refuses, and asks for them again",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Worker.jobs(tube, { maxDisconnects: 3 }).pipe(
        Stream.tap((job) => job.delete),
        Stream.take(1),
        Stream.runDrain,
        clientOf(server),
        Effect.fork
      )
      const peer = yield* acceptLane(server)
      yield* giveJob(peer, 1)
      yield* expectAndReply(peer, "stats-job 1", "INTERNAL_ERROR\r\n")
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1))
      yield* expectAndReply(peer, "delete 1", "DELETED\r\n")
      yield* Fiber.join(stream)
    }))
  )

  it(
    "has one reserve outstanding, although a pull was interrupted",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Effect.gen(function*() {
        const pull = yield* Stream.toPull(Worker.jobs(tube))
        yield* Effect.timeout(pull, "10 seconds").pipe(Effect.ignore)
        const [job] = Chunk.toReadonlyArray(yield* pull)
        yield* job?.delete ?? Effect.void
        return job?.id
      }).pipe(Effect.scoped, clientOf(server), Effect.fork)
      const first = yield* acceptLane(server)
      assert.match(yield* first.line, /^reserve/)
      yield* first.closed
      const second = yield* acceptLane(server)
      yield* giveJob(second, 1)
      yield* expectAndReply(second, "delete 1", "DELETED\r\n")
      assert.strictEqual(yield* Fiber.join(stream), "1")
    }))
  )

  it(
    "gives back the job that was being decoded for a pull that was interrupted",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Effect.gen(function*() {
        const pull = yield* Stream.toPull(Worker.jobs(decodedIn("20 seconds", "1 minute")))
        yield* Effect.timeout(pull, "10 seconds").pipe(Effect.ignore)
        return Chunk.toReadonlyArray(yield* pull).map(({ id }) => id)
      }).pipe(Effect.scoped, clientOf(server), Effect.fork)
      const first = yield* acceptLane(server)
      yield* first.line
      yield* first.say(`RESERVED 1 3\r\n"x"\r\n`)
      yield* first.closed
      const second = yield* acceptLane(server)
      yield* second.line
      yield* second.say(`RESERVED 2 3\r\n"x"\r\n`)
      yield* expectAndReply(second, "stats-job 2", statsJobReply(2))
      assert.deepStrictEqual(yield* Fiber.join(stream), ["2"])
    }))
  )

  it(
    "reserves the next job on the same connection when the server does not know the job any more",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Worker.jobs(tube).pipe(
        Stream.mapEffect((job) => Effect.flip(job.leaseLost)),
        Stream.take(2),
        Stream.runCollect,
        clientOf(server),
        Effect.fork
      )
      const peer = yield* acceptLane(server)
      for (const id of [1, 2]) {
        yield* giveJob(peer, id)
        yield* expectAndReply(peer, `stats-job ${id}`, statsJobReply(id))
        yield* expectAndReply(peer, `touch ${id}`, "NOT_FOUND\r\n")
      }
      assert.lengthOf(yield* Fiber.join(stream), 2)
    }))
  )

  it(
    "rule 14: touches a job while it is decoded",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      yield* Worker.jobs(decodedIn("10 seconds", "3 seconds")).pipe(Stream.runHead, clientOf(server), Effect.fork)
      const peer = yield* acceptLane(server)
      yield* peer.line
      yield* peer.say(`RESERVED 1 3\r\n"x"\r\n`)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr: 3 }))
      for (let i = 0; i < 9; i += 1) yield* expectAndReply(peer, "touch 1", "TOUCHED\r\n")
    }))
  )

  it(
    "rule 14: without heartbeat, does not emit a job that was released while it was decoded",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const emitted: Array<string> = []
      const stream = yield* Worker.jobs(decodedIn("10 seconds", "3 seconds"), { heartbeat: false }).pipe(
        Stream.runForEach((job) => Effect.sync(() => emitted.push(job.id))),
        clientOf(server),
        Effect.fork
      )
      const peer = yield* acceptLane(server)
      yield* peer.line
      yield* peer.say(`RESERVED 1 3\r\n"x"\r\n`)
      yield* expectAndReply(peer, "stats-job 1", statsJobReply(1, { ttr: 3 }))
      yield* expectAndReply(peer, "release 1 7 1", "RELEASED\r\n")
      assert.match(yield* peer.line, /^reserve/)
      yield* Fiber.interrupt(stream)
      assert.deepStrictEqual(emitted, [])
    }))
  )

  it(
    "rule 22: settles a job once, although its time to run is over before the reply to stats-job",
    virtualTest(Effect.gen(function*() {
      const server = yield* Scripted.inMemory()
      const stream = yield* Worker.jobs(Tube.text("t", { ttr: "3 seconds" }), { heartbeat: false }).pipe(
        Stream.mapEffect((job) => job.bury),
        Stream.take(1),
        Stream.runDrain,
        clientOf(server),
        Effect.fork
      )
      const peer = yield* acceptLane(server)
      yield* giveJob(peer, 1)
      yield* peer.expect("stats-job 1\r\n")
      yield* Effect.sleep("2500 millis")
      yield* peer.say(statsJobReply(1, { ttr: 3 }))
      yield* peer.expect("bury 1 7\r\n")
      assert.strictEqual(yield* peer.rest, "")
      yield* peer.say("BURIED\r\n")
      yield* Fiber.join(stream)
    }))
  )

  it(
    "rule 22: fails delete with LeaseLost if the Stream ends before the repeated delete has a reply",
    virtualTest(Effect.gen(function*() {
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
      const first = yield* acceptLane(server)
      yield* giveJob(first, 1)
      yield* first.expect("delete 1\r\n")
      yield* first.hangUp
      const second = yield* acceptLane(server)
      yield* second.expect("delete 1\r\n")
      yield* Fiber.interrupt(stream)
      yield* deleted.await
      assert.strictEqual(ending, "LeaseLost")
    }))
  )
})
