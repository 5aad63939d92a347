/** What OpenTelemetry is told of a failure: which it was, in a word, and nothing of what is in it. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { Undecodable } from "../decision.ts"

export const errorTypeOf = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.failureOption(cause), {
    onSome: nameOf,
    onNone: () => Cause.isDie(cause) ? "defect" : "interrupt"
  })

const nameOf = (failure: unknown): string => {
  const error = failure instanceof Undecodable ? failure.error : failure
  return Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" ? error._tag : other
}

/** What OpenTelemetry has for errors without a name. */
const other = "_OTHER"
