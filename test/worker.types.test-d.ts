/** What a worker is, to the compiler. */
import { describe, expectTypeOf, it } from "@effect/vitest"
import { Worker } from "effect-beanstalk"

describe("the verdicts of a handler", () => {
  it("need no reason", () => {
    expectTypeOf(Worker.Bury).toBeConstructibleWith()
    expectTypeOf(Worker.Bury).toBeConstructibleWith({ reason: "nobody lives there" })
    expectTypeOf(Worker.Discard).toBeConstructibleWith()
    expectTypeOf(Worker.Discard).toBeConstructibleWith({ reason: "it is too late" })
  })
})
