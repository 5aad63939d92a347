/** The types of `WorkerTest`. */
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
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

describe("the failures Bury and Discard", () => {
  it("take an optional reason", () => {
    expectTypeOf(Worker.Bury).toBeConstructibleWith()
    expectTypeOf(Worker.Bury).toBeConstructibleWith({ reason: "the address does not exist" })
    expectTypeOf(Worker.Discard).toBeConstructibleWith()
    expectTypeOf(Worker.Discard).toBeConstructibleWith({ reason: "the mail is out of date" })
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
  it("runOnce has the errors and services of the handler, without Scope", () => {
    expectTypeOf(WorkerTest.runOnce(handler, "", { tube: Letters })).toEqualTypeOf<
      Effect.Effect<number, "refused" | BeanstalkError.LeaseLost | BeanstalkError.PayloadError, Mailer>
    >()
    expectTypeOf(WorkerTest.runOnce(handler, "")).toEqualTypeOf<
      Effect.Effect<number, "refused" | BeanstalkError.LeaseLost | BeanstalkError.PayloadError, Mailer>
    >()
  })

  it("drain and make need the client besides; drain needs the embedded server too", () => {
    expectTypeOf(WorkerTest.drain(Letters, handler)).toEqualTypeOf<
      Effect.Effect<
        ReadonlyArray<WorkerTest.JobEvent<"refused">>,
        WorkerTest.NotDrained | BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | EmbeddedServer.EmbeddedServer | Mailer
      >
    >()
    expectTypeOf(WorkerTest.make(Letters, handler)).toEqualTypeOf<
      Effect.Effect<
        Worker.Worker<"refused">,
        BeanstalkError.WorkerStartError,
        BeanstalkClient.BeanstalkClient | Scope.Scope | Mailer
      >
    >()
  })

  it("drain and make give the Schedule the errors of the handler, and timeouts if there is one", () => {
    const retry = Schedule.recurWhile((failure: "refused") => failure === "refused")
    WorkerTest.drain(Letters, handler, { retry })
    WorkerTest.make(Letters, handler, { retry })
    // @ts-expect-error The input of the Schedule can be a timeout too.
    WorkerTest.drain(Letters, handler, { retry, timeout: "1 minute" })
    // @ts-expect-error The input of the Schedule can be a timeout too.
    WorkerTest.make(Letters, handler, { retry, timeout: "1 minute" })
  })

  it("awaitEvent succeeds with the type that the predicate refines to", () => {
    const awaitBuried = (worker: Worker.Worker) => WorkerTest.awaitEvent(worker, Worker.Event.$is("Buried"))
    expectTypeOf(awaitBuried).returns.toEqualTypeOf<
      Effect.Effect<Extract<Worker.Event, { readonly _tag: "Buried" }>, WorkerTest.EventNotEmitted>
    >()
  })
})
