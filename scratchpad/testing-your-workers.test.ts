/** The examples of docs/testing-your-workers.md. */
import { assert, it } from "@effect/vitest"
import { Clock, Context, Data, Deferred, Duration, Effect, Fiber, Ref, Schedule, Schema } from "effect"
import { BeanstalkClient, EmbeddedServer, Tube, Worker, WorkerTest } from "effect-beanstalk"

const Mail = Schema.Struct({ to: Schema.String, dueAt: Schema.Date })

const Mails = Tube.make("mails", { payload: Mail, ttr: "1 minute" })

class Refused extends Data.TaggedError("Refused")<{ readonly to: string }> {}

class Mailer extends Context.Tag("Mailer")<Mailer, {
  readonly send: (to: string, subject: string) => Effect.Effect<void, Refused>
}>() {}

const sendMail = ({ to }: typeof Mail.Type, job: Worker.Job) =>
  Effect.gen(function*() {
    if (!to.includes("@")) return yield* new Worker.Discard({ reason: "not an address" })
    const { send } = yield* Mailer
    const { attempt } = yield* job.stats
    yield* send(to, attempt === 1 ? "Hello" : "Hello again")
  })

const options = {
  // After 1, 2, 4, 8 and 16 hours.
  retry: Schedule.intersect(Schedule.exponential("1 hour"), Schedule.recurs(5))
}

const mail = { to: "kim@example.org", dueAt: new Date(0) }

// ---------------------------------------------------------------------------------------------------------------------
// a handler alone
// ---------------------------------------------------------------------------------------------------------------------

it.effect("says hello again when it is run again", () =>
  Effect.gen(function*() {
    const subjects: Array<string> = []
    const mailer = { send: (_: string, subject: string) => Effect.sync(() => void subjects.push(subject)) }
    const run = (attempt: number) =>
      Effect.provideService(WorkerTest.runOnce(sendMail, mail, { tube: Mails, attempt }), Mailer, mailer)
    yield* run(1)
    yield* run(2)
    assert.deepStrictEqual(subjects, ["Hello", "Hello again"])
  }))

const working = Effect.provideService(Mailer, { send: () => Effect.void })

it.effect("discards a mail without an address", () =>
  Effect.gen(function*() {
    const order = yield* Effect.flip(WorkerTest.runOnce(sendMail, { ...mail, to: "Kim" }, { tube: Mails }))
    assert.strictEqual(order._tag, "Discard")
  }).pipe(working))

it.effect("a mail with an invalid date cannot be encoded", () =>
  Effect.gen(function*() {
    const undated = { ...mail, dueAt: new Date(Number.NaN) }
    const error = yield* Effect.flip(WorkerTest.runOnce(sendMail, undated, { tube: Mails }))
    assert.strictEqual(error._tag, "PayloadError")
  }).pipe(working))

it.effect("a handler that has begun is interrupted when its job is lost", () =>
  Effect.gen(function*() {
    const isUndone = yield* Ref.make(false)
    const begun = yield* Deferred.make<void>()
    const handler = () =>
      Deferred.succeed(begun, undefined).pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Ref.set(isUndone, true))
      )
    const error = yield* Effect.flip(WorkerTest.runOnce(handler, mail, { lostWhen: Deferred.await(begun) }))
    assert.strictEqual(error._tag, "LeaseLost")
    assert.isTrue(yield* Ref.get(isUndone))
  }))

// ---------------------------------------------------------------------------------------------------------------------
// what was put
// ---------------------------------------------------------------------------------------------------------------------

const signUp = (to: string) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => Mails.put({ to, dueAt: new Date(now) }, { delay: "1 hour" }))

it.effect("a mail is put with a delay of an hour", () =>
  Effect.gen(function*() {
    const id = yield* signUp("kim@example.org")
    assert.deepStrictEqual(yield* WorkerTest.jobsIn(Mails), [
      { id, payload: mail, state: "delayed", priority: 1024, delay: 3600, ttr: 60 }
    ])
  }).pipe(Effect.provide(WorkerTest.layer())))

// ---------------------------------------------------------------------------------------------------------------------
// retries
// ---------------------------------------------------------------------------------------------------------------------

/** Refuses this many mails, then accepts them. */
const refusing = (times: number) =>
  Effect.provideServiceEffect(
    Mailer,
    Effect.map(Ref.make(0), (count) => ({
      send: (to: string) =>
        Effect.flatMap(Ref.updateAndGet(count, (n) => n + 1), (n) => n > times ? Effect.void : new Refused({ to }))
    }))
  )

it.effect("sends the mail once the mail server accepts it again", () =>
  Effect.gen(function*() {
    yield* Mails.put(mail)
    const events = yield* WorkerTest.drain(Mails, sendMail, options)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Retried", "Retried", "Retried", "Completed"])
    // 1, 2 and 4 hours of virtual time.
    assert.strictEqual(yield* Clock.currentTimeMillis, Duration.toMillis("7 hours"))
  }).pipe(refusing(3), Effect.provide(WorkerTest.layerVirtual())))

it.effect("buries a mail that was refused six times", () =>
  Effect.gen(function*() {
    yield* Mails.put(mail)
    const events = yield* WorkerTest.drain(Mails, sendMail, { ...options, within: "2 days" })
    const last = events.at(-1)
    assert.isTrue(last?._tag === "Buried" && last.attempt === 6)
    assert.deepStrictEqual((yield* WorkerTest.jobsIn(Mails)).map(({ state }) => state), ["buried"])

    // The mail server works again.
    yield* Mails.kick(1)
    const [event] = yield* working(WorkerTest.drain(Mails, sendMail, options))
    assert.strictEqual(event?._tag, "Completed")
  }).pipe(refusing(Number.POSITIVE_INFINITY), Effect.provide(WorkerTest.layerVirtual())))

// ---------------------------------------------------------------------------------------------------------------------
// what goes wrong
// ---------------------------------------------------------------------------------------------------------------------

it.effect("a body that does not decode is buried, and the handler does not run", () =>
  Effect.gen(function*() {
    const client = yield* BeanstalkClient.BeanstalkClient
    yield* client.put(Mails.name, "{\"to\":1}")
    const [event] = yield* WorkerTest.drain(Mails, () => Effect.dieMessage("This must not be run"))
    assert.strictEqual(event?._tag, "Undecodable")
    // Read as text, it is a body like any other.
    const [job] = yield* WorkerTest.jobsIn(Tube.text(Mails.name))
    assert.deepStrictEqual([job?.state, job?.payload], ["buried", "{\"to\":1}"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))

it.effect("a handler runs again when the connection is lost", () =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    yield* Mails.put(mail)
    let runs = 0
    const handler = () =>
      Effect.suspend(() => {
        runs += 1
        // When the connection is cut, the server gives the job back at once, and the handler is interrupted.
        return runs === 1 ? Effect.zipRight(server.inject(EmbeddedServer.Fault.Cut()), Effect.never) : Effect.void
      })
    const events = yield* WorkerTest.drain(Mails, handler)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["LeaseLost", "Completed"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))

// ---------------------------------------------------------------------------------------------------------------------
// the end
// ---------------------------------------------------------------------------------------------------------------------

it.scoped("a shutdown waits for the handler that runs, and leaves the next job", () =>
  Effect.gen(function*() {
    const [begun, mayEnd] = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>()])
    const worker = yield* WorkerTest.make(Mails, () =>
      Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(mayEnd)))
    yield* Mails.put(mail)
    yield* Mails.put(mail)
    yield* Deferred.await(begun)

    const shutdown = yield* Effect.fork(worker.shutdown)
    yield* Effect.sleep("20 seconds")
    yield* Deferred.succeed(mayEnd, undefined)
    const { drained, interrupted } = yield* Fiber.join(shutdown)
    assert.deepStrictEqual([drained, interrupted.length], [1, 0])
    assert.deepStrictEqual(
      (yield* WorkerTest.jobsIn(Mails)).map(({ state }) =>
        state
      ),
      ["ready"]
    )
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))

it.scoped("a job whose handler does not end in time is given back", () =>
  Effect.gen(function*() {
    const worker = yield* WorkerTest.make(Mails, () => Effect.never, { shutdownTimeout: "10 seconds" })
    const id = yield* Mails.put(mail)
    yield* Effect.sleep("1 minute")

    yield* worker.shutdown
    const event = yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Interrupted"))
    assert.strictEqual(event.id, id)
    assert.deepStrictEqual((yield* WorkerTest.jobsIn(Mails)).map(({ state }) => state), ["ready"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))
