/** What a worker is, to the compiler. */
import { describe, expectTypeOf, it } from "@effect/vitest"
import {
  type BeanstalkClient,
  type BeanstalkError,
  type EmbeddedServer,
  Tube,
  Worker,
  WorkerTest
} from "effect-beanstalk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

describe("the verdicts of a handler", () => {
  it("need no reason", () => {
    expectTypeOf(Worker.Bury).toBeConstructibleWith()
    expectTypeOf(Worker.Bury).toBeConstructibleWith({ reason: "nobody lives there" })
    expectTypeOf(Worker.Discard).toBeConstructibleWith()
    expectTypeOf(Worker.Discard).toBeConstructibleWith({ reason: "it is too late" })
  })
})

interface Mailer {
  readonly _: unique symbol
}

declare const mailer: Context.Tag<Mailer, string>

const handler = (payload: string) =>
  Effect.zipRight(
    Effect.scope,
    payload === "" ? Effect.fail("refused" as const) : Effect.map(mailer, (name) => name.length)
  )

const Letters = Tube.text("letters")

describe("WorkerTest", () => {
  it("a handler that is run once needs what it needs, but no scope", () => {
    expectTypeOf(WorkerTest.runOnce(handler, "", { tube: Letters })).toEqualTypeOf<
      Effect.Effect<number, "refused" | BeanstalkError.LeaseLost | BeanstalkError.PayloadError, Mailer>
    >()
    expectTypeOf(WorkerTest.runOnce(handler, "")).toEqualTypeOf<
      Effect.Effect<number, "refused" | BeanstalkError.LeaseLost | BeanstalkError.PayloadError, Mailer>
    >()
  })

  it("so does a tube that is worked off, with a server and a client", () => {
    expectTypeOf(WorkerTest.drain(Letters, handler)).toEqualTypeOf<
      Effect.Effect<
        ReadonlyArray<WorkerTest.JobEvent>,
        WorkerTest.NotDrained | BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Mailer
      >
    >()
    expectTypeOf(WorkerTest.make(Letters, handler)).toEqualTypeOf<
      Effect.Effect<
        Worker.Worker,
        BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | Scope.Scope | Mailer
      >
    >()
  })

  it("an event that is waited for is what was wanted", () => {
    const awaitBuried = (worker: Worker.Worker) => WorkerTest.awaitEvent(worker, Worker.Event.$is("Buried"))
    expectTypeOf(awaitBuried).returns.toEqualTypeOf<
      Effect.Effect<Extract<Worker.Event, { readonly _tag: "Buried" }>, WorkerTest.NeverTold>
    >()
  })
})
