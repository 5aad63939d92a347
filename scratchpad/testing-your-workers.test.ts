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

const mail = { to: "somebody@example.org", dueAt: new Date(0) }

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

it.effect("has a mail deleted that nobody can get", () =>
  Effect.gen(function*() {
    const verdict = yield* Effect.flip(WorkerTest.runOnce(sendMail, { ...mail, to: "nobody" }, { tube: Mails }))
    assert.strictEqual(verdict._tag, "Discard")
  }).pipe(working))

it.effect("a mail with a date that is none does not come through the tube", () =>
  Effect.gen(function*() {
    const undated = { ...mail, dueAt: new Date(Number.NaN) }
    const error = yield* Effect.flip(WorkerTest.runOnce(sendMail, undated, { tube: Mails }))
    assert.strictEqual(error._tag, "PayloadError")
  }).pipe(working))

it.effect("what is begun is undone when the job is lost", () =>
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

it.effect("whoever signs up gets a mail in an hour", () =>
  Effect.gen(function*() {
    const id = yield* signUp("somebody@example.org")
    assert.deepStrictEqual(yield* WorkerTest.jobsIn(Mails), [
      { id, payload: mail, state: "delayed", priority: 1024, delay: 3600, ttr: 60 }
    ])
  }).pipe(Effect.provide(WorkerTest.layer())))

// ---------------------------------------------------------------------------------------------------------------------
// retries
// ---------------------------------------------------------------------------------------------------------------------

/** Refuses so many mails, and takes the next. */
const refusing = (times: number) =>
  Effect.provideServiceEffect(
    Mailer,
    Effect.map(Ref.make(0), (count) => ({
      send: (to: string) =>
        Effect.flatMap(Ref.updateAndGet(count, (n) => n + 1), (n) => n > times ? Effect.void : new Refused({ to }))
    }))
  )

it.effect("is patient with a mail server that is away over night", () =>
  Effect.gen(function*() {
    yield* Mails.put(mail)
    const events = yield* WorkerTest.drain(Mails, sendMail, options)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Retried", "Retried", "Retried", "Completed"])
    // 1, 2 and 4 hours, which have passed in a moment.
    assert.strictEqual(yield* Clock.currentTimeMillis, Duration.toMillis("7 hours"))
  }).pipe(refusing(3), Effect.provide(WorkerTest.layerVirtual())))

it.effect("puts a mail aside that was refused six times", () =>
  Effect.gen(function*() {
    yield* Mails.put(mail)
    const events = yield* WorkerTest.drain(Mails, sendMail, { ...options, within: "2 days" })
    const last = events.at(-1)
    assert.isTrue(last?._tag === "Buried" && last.attempt === 6)
    assert.deepStrictEqual((yield* WorkerTest.jobsIn(Mails)).map(({ state }) => state), ["buried"])

    // Somebody has mended the mail server.
    yield* Mails.kick(1)
    const [event] = yield* working(WorkerTest.drain(Mails, sendMail, options))
    assert.strictEqual(event?._tag, "Completed")
  }).pipe(refusing(Number.POSITIVE_INFINITY), Effect.provide(WorkerTest.layerVirtual())))

// ---------------------------------------------------------------------------------------------------------------------
// what goes wrong
// ---------------------------------------------------------------------------------------------------------------------

it.effect("a body that is no mail is buried, and never sent", () =>
  Effect.gen(function*() {
    const client = yield* BeanstalkClient.BeanstalkClient
    yield* client.put(Mails.name, "{\"to\":1}")
    const [event] = yield* WorkerTest.drain(Mails, () => Effect.dieMessage("This must not be run"))
    assert.strictEqual(event?._tag, "Undecodable")
    // Whatever it is, it is text.
    const [job] = yield* WorkerTest.jobsIn(Tube.text(Mails.name))
    assert.deepStrictEqual([job?.state, job?.payload], ["buried", "{\"to\":1}"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))

it.effect("a mail is begun again when the connection is lost", () =>
  Effect.gen(function*() {
    const server = yield* EmbeddedServer.EmbeddedServer
    yield* Mails.put(mail)
    let runs = 0
    const handler = () =>
      Effect.suspend(() => {
        runs += 1
        // A cut connection gives the job back at once. The handler is interrupted, wherever it is.
        return runs === 1 ? Effect.zipRight(server.inject(EmbeddedServer.Fault.Cut()), Effect.never) : Effect.void
      })
    const events = yield* WorkerTest.drain(Mails, handler)
    assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["LeaseLost", "Completed"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))

// ---------------------------------------------------------------------------------------------------------------------
// the end
// ---------------------------------------------------------------------------------------------------------------------

it.scoped("a shutdown waits for the mail that is being sent, and leaves the next", () =>
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

it.scoped("a mail that takes too long is given back", () =>
  Effect.gen(function*() {
    const worker = yield* WorkerTest.make(Mails, () => Effect.never, { shutdownTimeout: "10 seconds" })
    const id = yield* Mails.put(mail)
    yield* Effect.sleep("1 minute")

    yield* worker.shutdown
    const event = yield* WorkerTest.awaitEvent(worker, Worker.Event.$is("Interrupted"))
    assert.strictEqual(event.id, id)
    assert.deepStrictEqual((yield* WorkerTest.jobsIn(Mails)).map(({ state }) => state), ["ready"])
  }).pipe(Effect.provide(WorkerTest.layerVirtual())))
