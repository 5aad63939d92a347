/** What one run of one contender came to. A contender that is at fault is reported, and never ends the bench. */
export type Outcome = Measured | Faulty

export interface Measured {
  readonly kind: "measured"
  readonly seconds: number
  /** User and system time of the client's process, in microseconds. */
  readonly cpuMicros: number
}

export interface Faulty {
  /**
   * `hangs`: commands stay unanswered though the server has answered them. `corrupts`: an answer is not the one to that
   * command. `fails`: a command is refused, or the client throws.
   */
  readonly kind: "hangs" | "corrupts" | "fails"
  readonly detail: string
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

/** Recognises an outcome among the messages of a contender's process. */
export const isOutcome = (value: unknown): value is Outcome => {
  if (!isRecord(value)) return false
  return value["kind"] === "measured"
    ? typeof value["seconds"] === "number" && typeof value["cpuMicros"] === "number"
    : (value["kind"] === "hangs" || value["kind"] === "corrupts" || value["kind"] === "fails")
      && typeof value["detail"] === "string"
}
