/**
 * Jobs that failed for good are put into a tube of their own, with the tag of their failure, and are put back from there when the
 * cause is fixed. (A buried job stays in its tube, and beanstalkd stores no reason with it.)
 *
 *     npx tsx scratchpad/dead-letters.ts          all steps, simulated
 *     BEANSTALKD_URL=beanstalk://host:11300 npx tsx scratchpad/dead-letters.ts back
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Data, Effect, Logger, LogLevel, Option, Schedule, Schema } from "effect"
import { BeanstalkClient, Tube, type Worker, WorkerTest } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"

const Mail = Schema.Struct({ to: Schema.String })

const Mails = Tube.make("mails", { payload: Mail })

const DeadLetters = Tube.make("dead-letters", {
  payload: Schema.Struct({ mail: Mail, failure: Schema.String, runs: Schema.Number })
})

class MailboxFull extends Data.TaggedError("MailboxFull")<{}> {}

const sendMail = (isFull: boolean) => ({ to }: typeof Mail.Type) =>
  isFull ? new MailboxFull() : Console.log(`sent to ${to}`)

/** The tag of a handler's failure. The message might contain personal data, which should not be stored. */
const tagOf = (cause: Cause.Cause<unknown>) =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => "Defect",
    onSome: (failure) => Schema.is(Schema.Struct({ _tag: Schema.String }))(failure) ? failure._tag : "Failure"
  })

/** If this fails, the job is buried: nothing is lost. */
const putDeadLetter = ({ attempt, cause, payload }: Worker.Exhausted<typeof Mail.Type, unknown>) =>
  DeadLetters.put({ mail: payload, failure: tagOf(cause), runs: attempt })

const options = {
  retry: Schedule.intersect(Schedule.exponential("1 minute"), Schedule.recurs(5)),
  onExhausted: putDeadLetter
}

/** A mail is put before its dead letter is deleted, so that it may be sent twice, but is never lost. */
const putBack = Effect.gen(function*() {
  const client = yield* BeanstalkClient.BeanstalkClient
  const connection = yield* client.leaseWith({ watch: [DeadLetters.name] })
  const putOneBack = Effect.gen(function*() {
    const job = yield* connection.reserveWithTimeout(0)
    const { failure, mail, runs } = yield* DeadLetters.decode(job)
    yield* Mails.put(mail)
    yield* connection.delete(job.id)
    yield* Console.log(`put back what had failed ${runs} times with ${failure}`)
  })
  yield* Effect.forever(putOneBack).pipe(Effect.catchTag("TimedOut", () => Console.log("no more dead letters")))
}).pipe(Effect.scoped)

const simulation = Effect.gen(function*() {
  yield* Mails.put({ to: "somebody@example.org" })
  yield* WorkerTest.drain(Mails, sendMail(true), options)
  yield* putBack
  yield* WorkerTest.drain(Mails, sendMail(false), options)
})

const main = Effect.if(process.argv[2] === "back", {
  onTrue: () => Effect.provide(putBack, NodeBeanstalk.layerClientEnv),
  onFalse: () => Effect.provide(simulation, WorkerTest.layerVirtual())
})

NodeRuntime.runMain(Logger.withMinimumLogLevel(main, LogLevel.Warning))
