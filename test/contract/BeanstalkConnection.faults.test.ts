/**
 * A connection under faults: the server dies, freezes or drains, and fibers are interrupted at any moment.
 *
 * `EFFECT_BEANSTALK_STRESS=1` runs the two long tests at full size.
 */
import { assert, layer } from "@effect/vitest"
import type { BeanstalkConnection, BeanstalkError, Job } from "effect-beanstalk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { eventually, failsWith, open, openOwnTube, openTo, proxy, sent, traced } from "../support/connections.ts"
import { amount, seed } from "../support/edition.ts"
import { Beanstalkd, ListeningBeanstalkd } from "../support/server.ts"
import { describeContract, describeListening } from "../support/servers.ts"

const commands = amount(2_000, 5_000, 100_000)

const reserves = amount(80, 200, 10_000)

/** Yields a random number of times. */
const randomTurns = Effect.flatMap(
  Random.nextIntBetween(0, 12),
  (turns) => Effect.replicateEffect(Effect.yieldNow(), turns, { discard: true })
)

type Reserve = (
  worker: BeanstalkConnection.Connection,
  id: string
) => Effect.Effect<Job.ReservedJob, BeanstalkError.BeanstalkError>

const kinds: Readonly<Record<string, Reserve>> = {
  "reserve": (worker) => worker.reserve,
  "reserve with a timeout": (worker) => worker.reserveWithTimeout("1 hour"),
  "reserve with a timeout of zero": (worker) => worker.reserveWithTimeout(0),
  "reserveJob": (worker, id) => worker.reserveJob(id)
}

/** Runs an Effect, and interrupts it after a random number of yields, or after the reply to another command. */
const interruptedAtRandom = <A, E, R>(self: Effect.Effect<A, E, R>, roundTrip: Effect.Effect<unknown>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(self)
    yield* randomTurns
    const roundTrips = yield* Random.nextIntBetween(0, 4)
    yield* Effect.replicateEffect(roundTrip, roundTrips, { discard: true })
    yield* randomTurns
    return yield* Fiber.interrupt(fiber)
  })

describeContract("faults", (kind) => {
  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a server that dies", (it) => {
    /** Freezes a server with commands in flight, and kills it. */
    const killWith = (count: number, written: number, options: BeanstalkConnection.Options) =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const { beanstalk, lines } = yield* traced(openTo(server, { ...options, replyTimeout: "1 hour" }))
        const before = sent(lines).length
        yield* server.freeze
        const inFlight = yield* Effect.fork(Effect.forEach(
          Array.from({ length: count }),
          (_, i) =>
            i % 2 === 0
              ? failsWith(beanstalk.put(`job ${i}`), "ConnectionLost")
              : failsWith(beanstalk.touch(`${i}`), "ConnectionLost"),
          { concurrency: "unbounded" }
        ))
        yield* eventually(Effect.sync(() => sent(lines).length - before), (sent) => sent === written)
        yield* server.kill
        const errors = yield* Effect.timeout(Fiber.join(inFlight), "1 second")
        const later = yield* failsWith(beanstalk.stats, "ConnectionLost")
        assert.strictEqual(later.outcome, "NotSent")
        return errors
      })

    const having = (errors: ReadonlyArray<BeanstalkError.ConnectionLost>, outcome: "NotSent" | "Unknown") =>
      errors.filter((error) => error.outcome === outcome).length

    it.scoped("1,000 commands in flight all fail within a second, as Unknown", () =>
      Effect.gen(function*() {
        const errors = yield* killWith(1000, 1000, {})
        assert.deepStrictEqual([having(errors, "Unknown"), having(errors, "NotSent")], [1000, 0])
        assert.deepStrictEqual([errors[0]?.command, errors[1]?.command], ["put", "touch"])
      }))

    it.scoped("with room for 500, the half that was written fails as Unknown, and the rest as NotSent", () =>
      Effect.gen(function*() {
        const errors = yield* killWith(1000, 500, { maxInFlight: 500 })
        assert.deepStrictEqual([having(errors, "Unknown"), having(errors, "NotSent")], [500, 500])
        assert.isTrue(errors.slice(0, 500).every((error) => error.outcome === "Unknown"))
      }))

    it.scoped("with room for few bytes, what did not fit fails as NotSent", () =>
      Effect.gen(function*() {
        const errors = yield* killWith(1000, 1, { maxQueuedBytes: 1 })
        assert.deepStrictEqual([having(errors, "Unknown"), having(errors, "NotSent")], [1, 999])
      }))

    it.scoped("a reserve without a timeout fails too", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const observer = yield* openTo(server)
        const beanstalk = yield* openTo(server)
        const reserving = yield* Effect.fork(failsWith(beanstalk.reserve, "ConnectionLost"))
        yield* eventually(observer.stats, (stats) => stats.currentWaiting === 1)
        yield* server.kill
        assert.strictEqual((yield* Fiber.join(reserving)).outcome, "Unknown")
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a server that does not answer", (it) => {
    it.scoped("the connection is lost within the reply timeout, and the command fails as Unknown", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const beanstalk = yield* open({ replyTimeout: "1 second" })
        yield* Effect.scoped(Effect.gen(function*() {
          yield* server.freeze
          const errors = yield* Effect.all([
            failsWith(beanstalk.put("x"), "ConnectionLost"),
            failsWith(beanstalk.stats, "ConnectionLost")
          ], { concurrency: "unbounded" })
          assert.deepStrictEqual(errors.map((error) => error.outcome), ["Unknown", "Unknown"])
          assert.match(errors[0].reason, /the server has not answered put for \d/)
        }))
        const next = yield* open()
        assert.strictEqual((yield* next.stats).id, beanstalk.server.id)
      }))

    it.scoped("a reserve with a timeout fails one second after it, and not at the reply timeout", () =>
      Effect.gen(function*() {
        const beanstalk = yield* open({ replyTimeout: "1 second" })
        yield* (yield* Beanstalkd).freeze
        const error = yield* failsWith(beanstalk.reserveWithTimeout("1 second"), "ConnectionLost")
        assert.match(error.reason, /the server has not answered reserve-with-timeout for [2-9]/)
      }))

    it.scoped("a connection that a frozen server accepts fails to open, and does not hang", () =>
      Effect.gen(function*() {
        yield* (yield* Beanstalkd).freeze
        const error = yield* failsWith(open({ connectTimeout: "1 second" }), "ConnectFailed")
        assert.strictEqual(error.reason, "TimedOut")
        assert.include(error.message, "accepted the connection, but did not complete the handshake")
      }))

    it.scoped("a reply after the reply timeout is dropped, and its put is stored at most once", () =>
      Effect.gen(function*() {
        const server = yield* Beanstalkd
        const { beanstalk: observer, tube } = yield* openOwnTube()
        const beanstalk = yield* open({ tube, replyTimeout: "1 second" })
        yield* Effect.scoped(Effect.zipRight(server.freeze, failsWith(beanstalk.put("late"), "ConnectionLost")))
        assert.strictEqual((yield* failsWith(beanstalk.listTubeUsed, "ConnectionLost")).outcome, "NotSent")
        const { totalJobs } = yield* eventually(observer.statsTube(tube), (stats) => stats.currentUsing === 1)
        assert.isAtMost(totalJobs, 1)
      }))
  })

  layer(Beanstalkd.layer(kind), { excludeTestServices: true })("a server that drains", (it) => {
    it.scoped("with puts in flight: each is stored or fails with Draining, and the connection goes on", () =>
      Effect.gen(function*() {
        const server = yield* kind.start()
        const beanstalk = yield* openTo(server)
        const putting = yield* Effect.fork(Effect.forEach(
          Array.from({ length: 2000 }, (_, i) => `job ${i}`),
          (body) => Effect.catchTag(beanstalk.put(body), "Draining", () => Effect.succeed("draining")),
          { concurrency: 100 }
        ))
        yield* eventually(beanstalk.stats, (stats) => stats.totalJobs > 0)
        yield* server.drain
        const answers = yield* Fiber.join(putting)
        yield* eventually(beanstalk.stats, (stats) => stats.draining === true)
        const stored = answers.filter((answer) => answer !== "draining").length
        assert.strictEqual((yield* beanstalk.stats).currentJobsReady, stored)
        yield* failsWith(beanstalk.put("too late"), "Draining")
        yield* Effect.replicateEffect(
          Effect.flatMap(beanstalk.reserveWithTimeout(0), (job) => beanstalk.delete(job.id)),
          stored,
          { concurrency: 100 }
        )
        yield* failsWith(beanstalk.reserveWithTimeout(0), "TimedOut")
      }))
  })

  layer(Beanstalkd.layer(kind, { maxJobSize: 100000 }), { excludeTestServices: true })("interruptions", (it) => {
    const fibers = 256

    it.scoped(
      `${fibers} fibers, ${commands} commands, some interrupted at random: each reply reaches its own fiber`,
      () =>
        Effect.withRandom(Random.make(seed))(Effect.gen(function*() {
          const beanstalk = yield* open()
          const other = yield* open()
          const roundTrip = Effect.orDie(other.listTubeUsed)
          const puts: Array<readonly [id: Job.JobId, body: string]> = []
          let [answered, interrupted, tooLate] = [0, 0, 0]

          const fiber = (n: number) =>
            Effect.gen(function*() {
              const mark = `mark-${seed}-${n}`
              const tube = `tube-of-${n}`
              const own = yield* beanstalk.put(mark, { tube })
              const questions: ReadonlyArray<Effect.Effect<unknown, BeanstalkError.BeanstalkError>> = [
                beanstalk.peek(own).pipe(
                  Effect.flatMap((job) => job.text()),
                  Effect.map((text) => assert.strictEqual(text, mark))
                ),
                Effect.map(beanstalk.peekReady({ tube }), (job) => assert.strictEqual(job._tag, "Some")),
                Effect.map(beanstalk.statsJob(own), (job) => assert.strictEqual(job.id, own)),
                Effect.map(beanstalk.statsTube(tube), (stats) => assert.strictEqual(String(stats.name), tube)),
                Effect.map(beanstalk.use(tube), (used) => assert.strictEqual(String(used), tube)),
                Effect.map(
                  failsWith(beanstalk.touch(own), "JobNotFound"),
                  (error) => assert.strictEqual(error.id, own)
                ),
                Effect.suspend(() => {
                  const body = `${mark}-${puts.length}`
                  return Effect.map(beanstalk.put(body, { tube, priority: 5000 }), (id) => void puts.push([id, body]))
                })
              ]
              for (let i = 0; i < commands / fibers; i++) {
                const question = questions[yield* Random.nextIntBetween(0, questions.length)] ?? Effect.void
                if (yield* Random.nextBoolean) {
                  yield* question
                  answered += 1
                  continue
                }
                const exit = yield* interruptedAtRandom(question, roundTrip)
                if (Exit.isInterrupted(exit)) {
                  interrupted += 1
                } else {
                  yield* exit
                  tooLate += 1
                }
              }
            })

          yield* Effect.forEach(Array.from({ length: fibers }, (_, n) => n), fiber, { concurrency: "unbounded" })
          assert.isAbove(interrupted, commands / 20)
          assert.isAbove(answered, commands / 20)
          assert.isAbove(tooLate, 0)
          for (const [id, body] of puts) {
            assert.strictEqual(yield* (yield* beanstalk.peek(id)).text(), body, `seed ${seed}`)
          }
        })),
      { timeout: 600_000 }
    )

    it.scoped(
      `${reserves} reserves of every kind, interrupted at random: no job stays reserved, and none is lost`,
      () =>
        Effect.withRandom(Random.make(seed))(Effect.gen(function*() {
          const lanes = 8
          const jobs = 3
          let [interrupted, served, timedOut] = [0, 0, 0]

          const lane = Effect.gen(function*() {
            const { beanstalk: control, tube } = yield* openOwnTube()
            const roundTrip = Effect.orDie(control.listTubeUsed)
            const ids = yield* Effect.replicateEffect(control.put("x", { ttr: "1 hour" }), jobs)
            for (let i = 0; i < reserves / lanes; i++) {
              const reserve = yield* Random.choice(Object.values(kinds))
              // The jobs are ready before the reserve, or put while it blocks.
              const comesLater = yield* Random.nextBoolean
              if (comesLater) yield* control.pauseTube(tube, "1 hour")
              yield* Effect.scoped(Effect.gen(function*() {
                const worker = yield* open({ watch: [tube] })
                const coming = yield* Effect.fork(
                  comesLater
                    ? Effect.zipRight(Effect.zipRight(roundTrip, randomTurns), control.pauseTube(tube, 0))
                    : Effect.void
                )
                const exit = yield* interruptedAtRandom(reserve(worker, ids[0] ?? ""), roundTrip)
                yield* Fiber.join(coming)
                if (Exit.isSuccess(exit)) {
                  served += 1
                  yield* worker.release(exit.value.id, { priority: 1024 })
                } else if (Exit.isInterrupted(exit)) {
                  interrupted += 1
                } else {
                  yield* failsWith(exit, "TimedOut")
                  timedOut += 1
                }
                // The connection is still open: it must hold no job that no fiber knows of.
                yield* eventually(
                  control.statsTube(tube),
                  (stats) =>
                    stats.currentJobsReserved === 0 && stats.currentJobsReady === jobs && stats.currentWaiting === 0
                )
              }))
            }
            const ready = yield* Effect.forEach(ids, (id) => control.statsJob(id))
            assert.deepStrictEqual(ready.map((job) => job.state), ids.map(() => "ready"))
          })

          yield* Effect.replicateEffect(lane, lanes, { concurrency: "unbounded" })
          assert.isAbove(interrupted, reserves / 20)
          assert.isAbove(served, reserves / 20)
          assert.isAbove(timedOut, 0)
        })),
      { timeout: 600_000 }
    )

    it.scoped("a command that is interrupted before it is written never reaches the server", () =>
      Effect.gen(function*() {
        const { beanstalk: observer, tube } = yield* openOwnTube()
        const { beanstalk, lines } = yield* traced(open({ watch: [tube], maxInFlight: 1 }))
        const reserving = yield* Effect.fork(beanstalk.reserve)
        yield* eventually(observer.statsTube(tube), (stats) => stats.currentWaiting === 1)
        const putting = yield* Effect.fork(beanstalk.put("not wanted any more", { tube }))
        const listing = yield* Effect.fork(beanstalk.listTubeUsed)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(putting)
        const id = yield* observer.put("wanted")
        assert.strictEqual((yield* Fiber.join(reserving)).id, id)
        assert.strictEqual(String(yield* Fiber.join(listing)), "default")
        assert.deepStrictEqual(sent(lines).slice(-2), ["reserve", "list-tube-used"])
        assert.strictEqual((yield* observer.statsTube(tube)).totalJobs, 1)
      }))

    it.scoped("a command that is interrupted after it is written is carried out, and its reply is dropped", () =>
      Effect.gen(function*() {
        const { beanstalk: observer, tube } = yield* openOwnTube()
        const { beanstalk, lines } = yield* traced(open({ tube, watch: [tube] }))
        const reserving = yield* Effect.fork(beanstalk.reserve)
        const putting = yield* Effect.fork(beanstalk.put("on its way"))
        const listing = yield* Effect.fork(beanstalk.listTubeUsed)
        yield* eventually(Effect.sync(() => sent(lines).at(-1)), (last) => last === "list-tube-used")
        yield* Fiber.interrupt(putting)
        const id = yield* observer.put("wanted")
        assert.strictEqual((yield* Fiber.join(reserving)).id, id)
        assert.strictEqual(String(yield* Fiber.join(listing)), tube)
        const peeked = yield* Effect.flatten(beanstalk.peekReady())
        assert.strictEqual(yield* peeked.text(), "on its way")
      }))
  })
})

describeListening("faults", (kind) => {
  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("a connection that is cut", (it) => {
    /** Puts a job, forwards this many bytes of the request and of the reply, and returns the number of jobs. */
    const putAndCut = ({ answer, request }: { readonly request: number; readonly answer: number }) =>
      Effect.gen(function*() {
        const { beanstalk: observer, tube } = yield* openOwnTube()
        let cutting = false
        let [sentOn, givenBack] = [0, 0]
        const beanstalk = yield* openTo(
          yield* proxy(yield* ListeningBeanstalkd, {
            toServer: (bytes, client, upstream) => {
              upstream.write(cutting ? bytes.subarray(0, request - sentOn) : bytes)
              sentOn += cutting ? bytes.length : 0
              if (sentOn > request) client.destroy()
            },
            toClient: (bytes, client) => {
              client.write(cutting ? bytes.subarray(0, answer - givenBack) : bytes)
              givenBack += cutting ? bytes.length : 0
              if (givenBack > answer) client.destroy()
            }
          }),
          { tube }
        )
        cutting = true
        const error = yield* failsWith(beanstalk.put("once"), "ConnectionLost")
        const { totalJobs } = yield* eventually(observer.statsTube(tube), (stats) => stats.currentUsing === 1)
        return { outcome: error.outcome, totalJobs }
      })

    const request = "put 1024 0 60 4\r\nonce\r\n".length

    it.scoped("a put that is cut at any byte of its request is Unknown, and there is no job", () =>
      Effect.gen(function*() {
        const cuts = Array.from({ length: request }, (_, i) => i)
        const seen = yield* Effect.forEach(cuts, (cut) => Effect.scoped(putAndCut({ request: cut, answer: 0 })))
        assert.deepStrictEqual(seen, cuts.map(() => ({ outcome: "Unknown", totalJobs: 0 })))
      }))

    it.scoped("a put that is cut at any byte of its reply is Unknown, and there is one job", () =>
      Effect.gen(function*() {
        const cuts = Array.from("INSERTED 1\r\n", (_, i) => i)
        const seen = yield* Effect.forEach(cuts, (cut) => Effect.scoped(putAndCut({ request, answer: cut })))
        assert.deepStrictEqual(seen, cuts.map(() => ({ outcome: "Unknown", totalJobs: 1 })))
      }))
  })

  layer(ListeningBeanstalkd.layer(kind), { excludeTestServices: true })("interruptions on the way", (it) => {
    for (const [name, reserve] of Object.entries(kinds)) {
      it.scoped(`${name}, interrupted between the arrival of its job and the next run of its fiber, gives the job back`, () =>
        Effect.gen(function*() {
          const { beanstalk: observer, tube } = yield* openOwnTube()
          const id = yield* observer.put("x", { ttr: "1 hour" })
          // Holds the replies back until both can be sent in one piece, so that both fibers are resumed in the same turn.
          let held: Buffer | undefined
          const worker = yield* openTo(
            yield* proxy(yield* ListeningBeanstalkd, {
              toClient: (bytes, client) => {
                if (held === undefined) return void client.write(bytes)
                held = Buffer.concat([held, bytes])
                if (held.includes("RESERVED")) client.write(held)
              }
            }),
            { watch: [tube] }
          )
          held = Buffer.alloc(0)
          const reserving = yield* Deferred.make<Fiber.Fiber<Job.ReservedJob, BeanstalkError.BeanstalkError>>()
          const interrupting = yield* Effect.fork(
            Effect.zipRight(worker.listTubeUsed, Effect.flatMap(Deferred.await(reserving), Fiber.interrupt))
          )
          yield* Deferred.succeed(reserving, yield* Effect.fork(reserve(worker, id)))
          assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interrupting)))
          const { reserves } = yield* eventually(observer.statsJob(id), (job) => job.state === "ready")
          assert.strictEqual(reserves, 1)
          const error = yield* failsWith(worker.stats, "ConnectionLost")
          assert.match(error.reason, /a reserve[-\w]* that was interrupted has reserved a job/)
        }))
    }
  })
})
