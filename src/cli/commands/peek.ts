/** `beanstalk peek` */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { NothingThere } from "../failures.ts"
import { bodyRecord, statsRecord } from "../record.ts"
import { theConnection } from "../server/connect.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { choice, tube } from "../values/text.ts"

const parameters = {
  tube: Argument.one(tube, { summary: "the tube" }),
  state: Flag.withDefault("state", choice("STATE", ["ready", "delayed", "buried"]), {
    default: "ready",
    summary: "the job that is reserved next, that becomes ready next, or that was buried first"
  })
}

export const command = Command.make({
  name: "peek",
  summary: "Write the body of the next job of a tube, byte for byte",
  details: [
    "Looking at a job does not reserve it. In a terminal the control characters of the body are escaped, and a line feed follows it."
  ],
  servers: { onlyOne: "of several servers no job is the next one, since there is no order across servers" },
  parameters,
  examples: [
    { run: "peek emails", does: "the job that a worker gets next" },
    { run: "peek emails --state buried --json", does: "the job that was buried first, with its statistics" }
  ],
  exits: { 1: "there is no such job" },
  run: Effect.gen(function*() {
    const { state, tube } = yield* Effect.all(parameters)
    const { bytes, json, isTerminal, lines, printableLines, records } = yield* Output
    const connection = yield* theConnection
    const peeks = {
      ready: connection.peekReady,
      delayed: connection.peekDelayed,
      buried: connection.peekBuried
    }
    const none = new NothingThere({ message: `no job of tube ${tube} on ${connection.address} is ${state}.` })
    const job = yield* Effect.flatMap(
      peeks[state]({ tube }),
      Option.match({ onNone: () => none, onSome: Effect.succeed })
    )
    if (json) {
      const stats = yield* Effect.catchTag(connection.statsJob(job.id), "JobNotFound", () => none)
      return yield* records([{ ...statsRecord(stats), ...bodyRecord(job.body) }])
    }
    yield* isTerminal ? lines(printableLines(yield* job.text("utf-8", { invalid: "replace" }))) : bytes(job.body)
  })
})
