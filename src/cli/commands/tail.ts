/** `beanstalk tail` */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constTrue } from "effect/Function"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Client, ClientError, ListedJob } from "../../BeanstalkClient.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import { writer } from "../listing.ts"
import { theServer } from "../server/servers.ts"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import * as Flag from "../table/flag.ts"
import { Output } from "../terminal/output.ts"
import { countedWere } from "../terminal/text.ts"
import { jobId } from "../values/text.ts"
import { isOneTube, matchesAny, namedOrAmong, type TubePattern, tubePattern } from "../values/tubePattern.ts"

const parameters = {
  tubes: Argument.many(tubePattern, {
    atLeast: 1,
    summary: "the tubes, which need not exist yet, or patterns like 'images.*'"
  }),
  to: Flag.optional("to", jobId, { summary: "the newest id by now; nothing is put then to learn it" }),
  noBody: Flag.on("no-body", { summary: "do not read the bodies" })
}

export const command = Command.make({
  name: "tail",
  summary: "Follow what is put into tubes, without reserving it",
  details: [
    "Every 100 ms the jobs that were put since are looked up. Those that were done by then are missed; how many is said on standard error, every 10 seconds and at the end: " +
    "of jobs that take 300 ms all are seen, of 50 ms half, of those that take no time 3 %.",
    "To learn the newest id, a job with the longest delay is put into the tube effect-beanstalk/newest, and deleted; with --to nothing is put."
  ],
  servers: { onlyOne: "it follows the ids of one server" },
  parameters,
  examples: [
    { run: "tail emails", does: "what is put into one tube" },
    { run: "tail '*' --json", does: "what is put anywhere, as JSON Lines" }
  ],
  run: Effect.gen(function*() {
    const { noBody, to, tubes } = yield* Effect.all(parameters)
    const { note } = yield* Output
    const server = yield* theServer
    const client = yield* server.connect
    const write = (yield* writer({ idsOnly: false, noBody, isOne: true, isOneTube: isOneTube(tubes) }))(server)
    const begin: Position = {
      last: BigInt(to ?? (yield* newestId(client))),
      ...yield* countsOf(client, tubes)
    }
    let allMissed = 0
    const tellMissed = Effect.suspend(() => {
      const count = allMissed
      allMissed = 0
      return count === 0 ? Effect.void : note(`${countedWere(count, "job")} gone before a look at them.`)
    })
    yield* Effect.forkScoped(Effect.schedule(tellMissed, Schedule.spaced("10 seconds")))
    yield* Effect.iterate(begin, {
      while: constTrue,
      body: (at) =>
        Effect.gen(function*() {
          const { found, missed, next } = yield* look(client, at, tubes)
          if (found.length > 0) yield* write(noBody ? found : yield* withBodies(client, found))
          allMissed += missed
          return next
        }).pipe(Effect.delay("100 millis"))
    }).pipe(Effect.ensuring(tellMissed))
  })
})

/** What was counted. */
interface Counts {
  /** How many jobs were put into the server. */
  readonly puts: number
  /** How many were put into each tube. */
  readonly ofTubes: ReadonlyMap<TubeName, number>
}

interface Position extends Counts {
  /** The newest id that was looked at. */
  readonly last: bigint
}

/** Ids beyond those that were counted: a put that was refused has taken one as well. */
const beyond = 64n

/** More than this many are not looked at in one go. */
const most = 4096n

/** Looks at the jobs that were put since. */
const look = (client: Client, at: Position, tubes: ReadonlyArray<TubePattern>) =>
  Effect.gen(function*() {
    const counts = yield* countsOf(client, tubes)
    const issued = BigInt(Math.max(0, counts.puts - at.puts))
    if (issued === 0n) return { found: [], missed: 0, next: { ...at, ...counts } }
    const end = at.last + issued
    const first = issued > most ? end - most : at.last
    const stats = yield* statsFrom(client, first + 1n, end + beyond)
    const isFollowed = matchesAny(tubes)
    const found = stats.filter(({ tube }) => isFollowed(tube)).map((stats) => ({ stats, body: undefined }))
    const last = stats.reduce((last, { id }) => BigInt(id) > last ? BigInt(id) : last, end)
    const missed = Math.max(0, putSince(at, counts) - found.length)
    return { found, missed, next: { ...counts, last } }
  })

/** How many jobs were put into the tubes. The count of a tube begins anew when the tube was gone. */
const putSince = (before: Counts, now: Counts): number =>
  Array.from(now.ofTubes).reduce((sum, [tube, count]) => {
    const counted = before.ofTubes.get(tube) ?? 0
    return sum + (count < counted ? count : count - counted)
  }, 0)

const countsOf = (
  client: Client,
  tubes: ReadonlyArray<TubePattern>
): Effect.Effect<Counts, ClientError | InvalidArgument> =>
  Effect.gen(function*() {
    const names = namedOrAmong(tubes, tubes.some(({ isGlob }) => isGlob) ? yield* client.listTubes : [])
    const [{ totalJobs }, all] = yield* Effect.all([client.stats, client.statsTubes(names)], {
      concurrency: "unbounded"
    })
    return { puts: totalJobs, ofTubes: new Map(all.map(({ name, totalJobs }) => [name, totalJobs])) }
  })

const statsFrom = (client: Client, first: bigint, last: bigint) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: Number(last - first) + 1 }, (_, index) => `${first + BigInt(index)}`),
      (id) => Effect.catchTag(Effect.asSome(client.statsJob(id)), "JobNotFound", () => Effect.succeedNone),
      { concurrency: "unbounded" }
    ),
    (found) => found.flatMap(Option.toArray)
  )

/** Without those that are gone by now. */
const withBodies = (client: Client, jobs: ReadonlyArray<ListedJob>) =>
  Effect.map(
    Effect.forEach(
      jobs,
      ({ stats }) =>
        client.peek(stats.id).pipe(
          Effect.map(({ body }) => Option.some({ stats, body })),
          Effect.catchTag("JobNotFound", () => Effect.succeedNone)
        ),
      { concurrency: 64 }
    ),
    (found) => found.flatMap(Option.toArray)
  )

/** A delay that no `tail` sees the end of. */
const longest = Duration.seconds(2 ** 32 - 1)

/** The newest id: that of a job which is put for it, and deleted, unless another search has deleted it first. */
const newestId = (client: Client) =>
  Effect.uninterruptible(
    Effect.tap(
      client.put("effect-beanstalk/newest", "", { delay: longest }),
      (id) => Effect.catchTag(client.delete(id), "JobNotFound", () => Effect.void)
    )
  )
