/** `beanstalk jobs` */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client, ListedJob, SearchProgress } from "../../BeanstalkClient.ts"
import { NothingThere, type PipeClosed, Stopped, WrongUsage } from "../failures.ts"
import { checkIds } from "../ids.ts"
import { writer } from "../listing.ts"
import { find } from "../selection/find.ts"
import { allStates, details, flags, type Selection } from "../selection/flags.ts"
import { notAllFoundText } from "../selection/notAllFound.ts"
import { isById, statesText } from "../selection/select.ts"
import { lookAtAll } from "../server/look.ts"
import { isOf } from "../server/server.ts"
import { addresses, Servers } from "../server/servers.ts"
import { matching } from "../server/tubes.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { withProgress } from "../terminal/progress.ts"
import { countedWere, elapsed, thousands } from "../terminal/text.ts"
import { tubesOrAll } from "../tubeArguments.ts"
import { isOneTube, matchesAny } from "../values/tubePattern.ts"

const parameters = {
  tubes: tubesOrAll,
  ...flags(allStates),
  idsOnly: Flag.on("ids", { summary: "write the ids alone, one a line, as for beanstalk delete -" }),
  noBody: Flag.on("no-body", { summary: "do not read the bodies" })
}

export const command = Command.make({
  name: "jobs",
  summary: "List jobs, newest first, without touching them",
  details: [details],
  servers: "together",
  parameters,
  examples: [
    { run: "jobs emails --state buried", does: "the jobs that failed" },
    { run: "jobs emails --match a@example.org --ids | beanstalk delete -", does: "delete those of one customer" },
    { run: "jobs emails --older-than 1d --json", does: "what has waited for long, as JSON Lines" }
  ],
  exits: { 1: "there are no such jobs", 4: "not all jobs were found; the message says how to look further" },
  run: Effect.gen(function*() {
    const { idsOnly, noBody, tubes, ...selection } = yield* Effect.all(parameters)
    const isOne = (yield* Servers).length === 1
    if (!isOne && selection.idsFrom === "-") {
      return yield* new WrongUsage({
        message: "standard input can be read once: give --ids-from a file for several servers."
      })
    }
    const { to } = selection
    yield* checkIds(to === undefined ? [] : [to])
    const budget = { left: selection.limit ?? Number.POSITIVE_INFINITY }
    const write = yield* writer({ idsOnly, noBody, isOne, isOneTube: isOneTube(tubes) })
    yield* lookAtAll(
      (client, server) =>
        Effect.gen(function*() {
          const names = tubes.length === 0
            ? undefined
            : isOne
            ? yield* matching(client, tubes)
            : (yield* client.listTubes).filter(matchesAny(tubes))
          // Another server may have the tube.
          if (names?.length === 0) return { written: 0, gone: 0 }
          return yield* list(client, {
            names,
            selection: to !== undefined && isOf(server, to) ? selection : { ...selection, to: undefined },
            budget,
            bodies: !idsOnly && !noBody,
            isOne,
            write: write(server)
          })
        }),
      (seen) =>
        Effect.gen(function*() {
          if (seen.some(({ seen: { written } }) => written > 0)) return
          const gone = seen.reduce((sum, { seen: { gone } }) => sum + gone, 0)
          const of = isOneTube(tubes) ? ` of tube ${tubes[0]?.text}` : ""
          const on = ` on ${yield* addresses("or")}`
          return yield* new NothingThere({
            message: gone > 0
              ? `no job${of}${on} is listed: ${goneText(gone)}. List them with --no-body.`
              : `no ${statesText(selection.states)} job${of}${on}${isById(selection) ? " matches" : ""}.`
          })
        })
    )
  })
})

interface Listing {
  readonly names: ReadonlyArray<string> | undefined
  readonly selection: Selection
  /** How many more jobs may be written, of all servers. */
  readonly budget: { left: number }
  readonly bodies: boolean
  readonly isOne: boolean
  readonly write: (jobs: ReadonlyArray<ListedJob>) => Effect.Effect<void, PipeClosed | Stopped>
}

/**
 * Writes the jobs of a server as they are found, and says on standard error how many there are. Succeeds with how many were written,
 * and how many were found but gone before their bodies were read.
 */
const list = (client: Client, { bodies, budget, isOne, names, selection, write }: Listing) =>
  Effect.gen(function*() {
    const { isTerminal, note } = yield* Output
    const start = yield* Clock.currentTimeMillis
    let [written, gone] = [0, 0]
    let search: SearchProgress = { asked: 0, found: 0, counted: 0 }
    yield* withProgress("look at ids", ({ done }) =>
      find(client, {
        tubes: names,
        selection,
        bodies,
        onProgress: (progress) =>
          Effect.sync(() => {
            search = progress
            done(progress.asked)
          }),
        onGone: (count) =>
          Effect.sync(() => {
            gone = count
          })
      }).pipe(
        Stream.takeWhile(() => {
          budget.left -= 1
          return budget.left >= 0
        }),
        Stream.runForEachChunk((jobs) => {
          written += jobs.length
          return jobs.length === 0 ? Effect.void : write(Chunk.toReadonlyArray(jobs))
        })
      ), { isShown: !isTerminal }).pipe(
        Effect.catchTag("ReachExceeded", (cause) =>
          new Stopped({ message: `${matched(written, selection)}${notAllFoundText(cause)}`, cause }))
      )
    // Other servers had as many as may be listed.
    if (written === 0 && budget.left < 0) {
      return { written, gone }
    }
    const time = elapsed(Duration.millis((yield* Clock.currentTimeMillis) - start))
    // The failure of the command says it of one server.
    const isNothing = search.counted + search.found === 0 && selection.idsFrom === undefined
    if (!(isOne && isNothing)) {
      const address = isOne ? "" : ` on ${client.address}`
      const where = `${names === undefined ? "" : ` of ${names.join(", ")}`}${address}`
      yield* note(summary({ written, gone, search, selection, isLimited: budget.left <= 0, address, where, time }))
    }
    return { written, gone }
  })

const goneText = (count: number) =>
  `${countedWere(count, "job")} gone before ${count === 1 ? "its body was" : "their bodies were"} read`

const matched = (written: number, selection: Selection) =>
  isById(selection) ? `${thousands(written)} ${written === 1 ? "job matches" : "jobs match"}; ` : ""

interface Summary {
  readonly written: number
  readonly gone: number
  readonly search: SearchProgress
  readonly selection: Selection
  /** Whether more jobs may not be listed. */
  readonly isLimited: boolean
  readonly address: string
  readonly where: string
  readonly time: string
}

const summary = (
  { address, gone, isLimited, search: { asked, counted, found }, selection, time, where, written }: Summary
): string => {
  const { idsFrom, states } = selection
  const kind = states.length === allStates.length ? "" : `${statesText(states)} `
  const end = `in ${time}.${gone === 0 ? "" : ` ${goneText(gone)}.`}`
  if (idsFrom !== undefined) return `${thousands(written)} of these jobs${where} were found ${end}`
  if (isLimited) return `The newest ${thousands(written)}${address} were listed, among ${thousands(asked)} ids, ${end}`
  const many = Math.max(counted, found)
  if (many === 0) return `No ${kind}job${where} was found ${end}`
  const all = found < many
    ? `${thousands(found)} of ${thousands(many)} ${kind}jobs${where} were found`
    : many === 1
    ? `The only ${kind}job${where} was found`
    : `All ${thousands(many)} ${kind}jobs${where} were found`
  return `${isById(selection) ? `${thousands(written)} of ${thousands(many)} match. ` : ""}` +
    `${all}, among ${thousands(asked)} ids, ${end}`
}
