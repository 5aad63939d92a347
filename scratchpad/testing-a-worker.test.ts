/** Tests of a program that uses beanstalkd: without a server, without waiting, and with faults. */
import { assert, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Fiber, Stream, TestClock } from "effect"
import { BeanstalkConnection, EmbeddedServer, VirtualClock } from "effect-beanstalk"

/** The program under test: it sends mails, and tries again after an hour if a mail cannot be sent. */
const sendMails = (send: (text: string) => Effect.Effect<unknown, "refused">) =>
  Effect.gen(function*() {
    const beanstalk = yield* BeanstalkConnection.make({ watch: ["mails"] })
    yield* Stream.repeatEffect(beanstalk.reserve).pipe(
      Stream.runForEach((job) =>
        Effect.matchEffect(Effect.flatMap(job.text(), send), {
          onSuccess: () => beanstalk.delete(job.id),
          onFailure: () => beanstalk.release(job.id, { priority: 1024, delay: "1 hour" })
        })
      )
    )
  }).pipe(Effect.scoped)

const putMail = (text: string) =>
  Effect.flatMap(BeanstalkConnection.make({ tube: "mails" }), (producer) => producer.put(text))

it.scoped("tries again in an hour", () =>
  Effect.gen(function*() {
    const sent: Array<string> = []
    yield* putMail("hello")
    let isReachable = false
    yield* Effect.fork(sendMails((text) => isReachable ? Effect.sync(() => sent.push(text)) : Effect.fail("refused")))

    yield* TestClock.adjust("59 minutes")
    isReachable = true
    assert.deepStrictEqual(sent, [])
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(sent, ["hello"])
  }).pipe(Effect.provide(EmbeddedServer.layer())))

it.scoped("deletes a mail only when it was sent", () =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    yield* putMail("hello")
    const sending = yield* Effect.fork(sendMails(() => Effect.never))
    // Waits for an event, not for a time.
    yield* server.events.pipe(Stream.takeUntil(({ event }) => event === "reserved"), Stream.runDrain)
    yield* Fiber.interrupt(sending)
    const events = (yield* server.journal).map(({ event }) => event)
    assert.deepStrictEqual(events, ["put", "reserved", "given-back"])
  }).pipe(Effect.provide(EmbeddedServer.layer())))

it.scoped("fails when the connection is lost", () =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    const sending = yield* Effect.fork(sendMails(() => Effect.void))
    yield* TestClock.adjust("1 second")
    yield* server.inject(EmbeddedServer.Fault.Cut())
    const error = yield* Effect.flip(Fiber.join(sending))
    assert.strictEqual(error._tag, "ConnectionLost")
  }).pipe(Effect.provide(EmbeddedServer.layer())))

it.scoped("put fails with Buried when the server has no memory", () =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    yield* server.inject(EmbeddedServer.Fault.NoMemoryForQueues())
    const error = yield* Effect.flip(putMail("hello"))
    assert.strictEqual(error._tag, "Buried")
  }).pipe(Effect.provide(EmbeddedServer.layer())))

it.scopedLive("a year of mails takes a moment", () =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    const producer = yield* BeanstalkConnection.make({ tube: "mails" })
    yield* Effect.fork(sendMails(() => Effect.void))
    // This clock jumps by itself when no fiber can run.
    yield* Effect.repeatN(Effect.delay(producer.put("today's news"), "1 day"), 364)
    const deleted = yield* server.events.pipe(
      Stream.filter(({ event }) => event === "deleted"),
      Stream.take(365),
      Stream.runCollect
    )
    const last = Chunk.unsafeLast(deleted)
    assert.strictEqual(last.at, Duration.toMillis("365 days"))
  }).pipe(Effect.provide(EmbeddedServer.layer()), Effect.provide(VirtualClock.layer())))
