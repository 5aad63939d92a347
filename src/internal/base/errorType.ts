import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"

/** The OpenTelemetry attribute `error.type` of a failed run: the `_tag` of its error, `"defect"` or `"interrupt"`. */
export const errorTypeOf = (cause: Cause.Cause<unknown>): string =>
  Option.match(Cause.failureOption(cause), {
    onSome: tagOf,
    onNone: () => Cause.isDie(cause) ? "defect" : "interrupt"
  })

/** The `_tag` of an error. */
export const tagOf = (error: unknown): string =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" ? error._tag : other

/** The value that the semantic conventions prescribe for errors without a name. */
const other = "_OTHER"
