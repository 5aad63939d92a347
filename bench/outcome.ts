/** The outcome of one run of one contender. A faulty run is reported, and does not end the bench. */
export type Outcome = Measured | Faulty

export interface Measured {
  readonly kind: "measured"
  readonly seconds: number
  /** User and system time of the client's process, in microseconds. */
  readonly cpuMicros: number
}

export interface Faulty {
  /**
   * `hangs`: the client does not return an answer that the server has sent. `corrupts`: an answer belongs to another command.
   * `fails`: a command is rejected, or the client throws.
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
