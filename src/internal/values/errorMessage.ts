import type { LazyArg } from "effect/Function"
import { printable } from "./printable.ts"

/**
 * The message of an error, which is written when it is read: by a logger, most often, in which an exception would hide the error.
 * None is thrown if a field does not have its type.
 */
export const errorMessage = (write: LazyArg<string>): string => {
  try {
    // A field may be no string, and so may be what is written then.
    return printable(`${write()}`)
  } catch {
    return "This error cannot be described, since its fields do not have their types."
  }
}
