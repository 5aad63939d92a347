/** The metrics of queues. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, Connector, EmbeddedServer, QueueMetrics, VirtualClock } from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failsWith, newTube } from "../support/connections.ts"
import { reading, readings } from "../support/metrics.ts"

type OwnTags = Readonly<Record<string, string>>

/** Provides an embedded server at an address of its own, and a client of it, in virtual time. */
const polled = <A, E, R>(test: (own: OwnTags) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(newTube, (name) =>
    test({ "server.address": name }).pipe(
      Effect.scoped,
      Effect.provide(BeanstalkClient.layer({ offlineTimeout: "1 second" })),
      Effect.provide(Layer.scopedContext(
        Effect.map(EmbeddedServer.make(), ({ connector, server }) =>
          Context.make(EmbeddedServer.EmbeddedServer, server).pipe(
            Context.add(Connector.Connector, { ...connector, address: name })
          ))
      )),
      Effect.provide(VirtualClock.layer())
    ))

const ofTube = (own: OwnTags, tube: string) => ({ ...own, "messaging.destination.name": tube })

const jobs = (own: OwnTags, tube: string) =>
  Effect.map(
    readings("beanstalk.tube.jobs", ofTube(own, tube)),
    (found) => Object.fromEntries(found.map(({ tags, value }) => [tags["beanstalk.job.state"], value]))
  )

/** A worker that watches the tube and waits, and one job in each state. */
const fill = (tube: string) =>
  Effect.gen(function*() {
    const client = yield* BeanstalkClient.BeanstalkClient
    const worker = yield* client.leaseWith({ watch: [tube] })
    yield* client.put(tube, "reserved")
    yield* worker.reserve
    yield* client.put(tube, "buried")
    const { id } = yield* worker.reserve
    yield* worker.bury(id, 1024)
    yield* client.put(tube, "delayed", { delay: "1 hour" })
    yield* client.put(tube, "ready")
    return worker
  })

describe("QueueMetrics", () => {
  it.effect("has the jobs of a tube by their state, its workers and its counters", () =>
    polled((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* fill("emails")
        yield* client.delete(yield* client.put("emails", "deleted"))
        yield* client.pauseTube("emails", "1 minute")
        yield* QueueMetrics.make({ tubes: ["emails"] })
        yield* Effect.sleep("1 second")
        const emails = ofTube(own, "emails")
        assert.deepStrictEqual(yield* jobs(own, "emails"), { ready: 1, reserved: 1, delayed: 1, buried: 1 })
        assert.strictEqual(yield* reading("beanstalk.tube.workers", emails), 1)
        assert.strictEqual(yield* reading("beanstalk.tube.waiting", emails), 0)
        assert.isAtLeast(yield* reading("beanstalk.tube.paused", emails), 58)
        assert.strictEqual(yield* reading("beanstalk.tube.puts", emails), 5)
        assert.strictEqual(yield* reading("beanstalk.tube.deletes", emails), 1)
        assert.strictEqual(yield* reading("beanstalk.server.up", own), 1)
        assert.strictEqual(yield* reading("beanstalk.server.draining", own), 0)
        assert.deepStrictEqual(yield* readings("beanstalk.tube.next_job.age", emails), [])
      })
    ))

  it.effect("reads the server again after each interval, and counts what was put in between", () =>
    polled((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put("emails", "one")
        yield* QueueMetrics.make({ tubes: ["emails"], every: "15 seconds" })
        yield* Effect.sleep("1 second")
        yield* client.put("emails", "two")
        yield* Effect.sleep("13 seconds")
        const puts = reading("beanstalk.tube.puts", ofTube(own, "emails"))
        assert.strictEqual(yield* puts, 1)
        yield* Effect.sleep("2 seconds")
        assert.strictEqual(yield* puts, 2)
        assert.strictEqual((yield* client.stats).cmdStatsTube, 2)
      })
    ))

  it.effect("has how long the next job has been ready, with the option", () =>
    polled((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        yield* client.put("emails", "old", { delay: "5 seconds" })
        yield* Effect.sleep("12 seconds")
        yield* QueueMetrics.make({ tubes: ["*"], age: true, every: "1 minute" })
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* reading("beanstalk.tube.next_job.age", ofTube(own, "emails")), 7)
        assert.strictEqual(yield* reading("beanstalk.tube.next_job.age", ofTube(own, "default")), 0)
      })
    ))

  it.effect("has the tubes that match a pattern, and no others", () =>
    polled((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        for (const tube of ["images.resize", "images.crop", "imagesX", "emails", "audit"]) {
          yield* client.put(tube, "job")
        }
        yield* QueueMetrics.make({ tubes: ["images.*", "audit"] })
        yield* Effect.sleep("1 second")
        assert.sameMembers(
          (yield* readings("beanstalk.tube.workers", own)).map(({ tags }) => tags["messaging.destination.name"]),
          ["images.resize", "images.crop", "audit"]
        )
      })
    ))

  it.effect("sets a tube that is gone to zero, and counts on when it is made anew", () =>
    polled((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const id = yield* client.put("emails", "job")
        yield* client.put("other", "job")
        yield* QueueMetrics.make({ tubes: ["emails"], every: "10 seconds" })
        yield* Effect.sleep("1 second")
        assert.strictEqual((yield* jobs(own, "emails"))["ready"], 1)
        yield* client.delete(id)
        yield* Effect.sleep("10 seconds")
        assert.deepStrictEqual(yield* jobs(own, "emails"), { ready: 0, reserved: 0, delayed: 0, buried: 0 })
        yield* client.put("emails", "job")
        yield* client.put("emails", "job")
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(yield* reading("beanstalk.tube.puts", ofTube(own, "emails")), 3)
      })
    ))

  it.effect("adds what the server counted once, also if it is started again", () =>
    polled((own) =>
      Effect.gen(function*() {
        const client = yield* BeanstalkClient.BeanstalkClient
        const polling = Effect.scoped(
          Effect.zipRight(QueueMetrics.make({ tubes: ["emails"] }), Effect.sleep("1 second"))
        )
        yield* client.put("emails", "job")
        yield* client.put("emails", "job")
        yield* polling
        yield* client.put("emails", "job")
        yield* polling
        assert.strictEqual(yield* reading("beanstalk.tube.puts", ofTube(own, "emails")), 3)
      })
    ))

  it.effect("says that the server is down, and goes on when it is back; and that it drains", () =>
    polled((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const up = reading("beanstalk.server.up", own)
        yield* QueueMetrics.make({ tubes: ["*"], every: "10 seconds" })
        yield* Effect.sleep("1 second")
        assert.strictEqual(yield* up, 1)
        yield* server.inject(EmbeddedServer.Fault.Refuse())
        yield* server.inject(EmbeddedServer.Fault.Cut())
        yield* Effect.sleep("12 seconds")
        assert.strictEqual(yield* up, 0)
        yield* server.heal
        yield* server.drain
        yield* Effect.sleep("20 seconds")
        assert.strictEqual(yield* up, 1)
        assert.strictEqual(yield* reading("beanstalk.server.draining", own), 1)
      })
    ))

  it.effect("leaves the server alone for as long as a batch of tubes took", () =>
    polled((own) =>
      Effect.gen(function*() {
        const server = yield* EmbeddedServer.EmbeddedServer
        const client = yield* BeanstalkClient.BeanstalkClient
        for (const index of Array.from({ length: 300 }, (_, index) => index)) yield* client.put(`tube-${index}`, "job")
        yield* server.inject(EmbeddedServer.Fault.Delay({ duration: "2 seconds" }))
        yield* QueueMetrics.make({ tubes: ["tube-*"] })
        // stats, list-tubes, and the first batch take 2 seconds each.
        yield* Effect.sleep("7900 millis")
        assert.strictEqual((yield* readings("beanstalk.tube.workers", own)).length, 256)
        yield* Effect.sleep("3 seconds")
        assert.strictEqual((yield* readings("beanstalk.tube.workers", own)).length, 300)
      })
    ))

  it.effect("refuses a pattern that is none, and to read without a pause", () =>
    polled(() =>
      Effect.zipRight(
        failsWith(QueueMetrics.make({ tubes: ["[z-a]"] }), "InvalidArgument"),
        failsWith(QueueMetrics.make({ tubes: ["*"], every: 0 }), "InvalidArgument")
      )
    ))
})
