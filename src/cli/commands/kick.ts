/** `beanstalk kick` */
import * as Effect from "effect/Effect"
import type { Client, Tally } from "../../BeanstalkClient.ts"
import type { TubeName } from "../../Job.ts"
import { askAbove, bulk } from "../bulk.ts"
import { NothingThere } from "../failures.ts"
import { theClient } from "../server/servers.ts"
import { matching } from "../server/tubes.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import * as Prompt from "../terminal/prompt.ts"
import { counted, thousands } from "../terminal/text.ts"
import { positiveCount } from "../values/number.ts"
import { tubePattern } from "../values/tubePattern.ts"

const parameters = {
  tubes: Argument.many(tubePattern, { atLeast: 1, summary: "the tubes, or patterns like 'images.*'" }),
  limit: Flag.optional("limit", positiveCount, { summary: "at most so many jobs of each tube, those buried first" }),
  ...Prompt.flags
}

export const command = Command.make({
  name: "kick",
  summary: "Make the buried jobs of tubes ready",
  servers: "one",
  parameters,
  examples: [{
    run: "kick emails --limit 10",
    does: "give ten jobs to the workers again, to see whether they succeed"
  }],
  exits: { 1: "no job is buried there" },
  run: Effect.gen(function*() {
    const { dryRun, limit = Number.POSITIVE_INFINITY, tubes, yes } = yield* Effect.all(parameters)
    const output = yield* Output
    const client = yield* theClient
    const counts = yield* Effect.forEach(
      yield* matching(client, tubes),
      (tube) =>
        Effect.map(client.statsTube(tube), ({ currentJobsBuried }) => ({
          tube,
          count: Math.min(limit, currentJobsBuried)
        }))
    )
    const wanted = counts.filter(({ count }) => count > 0)
    const sum = wanted.reduce((sum, { count }) => sum + count, 0)
    if (sum === 0) {
      return yield* new NothingThere({
        message: `no job of ${tubes.map(({ text }) => text).join(", ")} on ${client.address} is buried.`
      })
    }
    if (dryRun) {
      return yield* output.json
        ? output.records(wanted.map(({ count, tube }) => ({ tube, buried: count })))
        : output.lines(...wanted.map(({ count, tube }) => `${tube}: ${counted(count, "buried job")} would be kicked.`))
    }
    if (sum > askAbove) {
      const where = wanted.length === 1 ? `tube ${wanted[0]?.tube}` : `${wanted.length} tubes`
      yield* Prompt.confirm(`Kick ${thousands(sum)} buried jobs of ${where} on ${client.address}?`, { yes })
    }
    for (const { count, tube } of wanted) {
      yield* bulk({
        tube,
        title: `kick ${tube}`,
        past: "kicked",
        expected: count,
        act: (onProgress) => kickAll(client, tube, count, onProgress)
      })
    }
  })
})

/** How many jobs one command may kick: a Ctrl-C takes effect after it. */
const batch = 1000

/** In batches, until so many are kicked, or none is buried. */
const kickAll = (client: Client, tube: TubeName, count: number, onProgress: (done: Tally) => Effect.Effect<void>) =>
  Effect.iterate({ buried: 0, isLast: false }, {
    while: ({ buried, isLast }) => !isLast && buried < count,
    body: ({ buried }) =>
      client.kick(tube, Math.min(batch, count - buried)).pipe(
        Effect.map((kicked) => ({ buried: buried + kicked, isLast: kicked < Math.min(batch, count - buried) })),
        Effect.tap((done) => onProgress({ ready: 0, delayed: 0, buried: done.buried }))
      )
  }).pipe(Effect.map(({ buried }): Tally => ({ ready: 0, delayed: 0, buried })))
