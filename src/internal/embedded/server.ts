/** A host that runs by Effect's Clock, and what its users see of it. */
import * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { JournalEntry, OpenConnection, Options, Server } from "../../EmbeddedServer.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { Connection } from "../broker/connection.ts"
import * as Alarm from "./alarm.ts"
import { Host } from "./host.ts"
import { type Entry, Journal } from "./journal.ts"

/** A host that lives as long as the scope, in a process if that is known. */
export const start = Effect.fnUntraced(function*(options: Options = {}, pid = 0) {
  const { journalSize = 100_000, maxJobSize = 65_535, version = "1.13" } = options
  const journal = new Journal(journalSize)
  const alarm: Alarm.Alarm = yield* Alarm.make(() => host.ring())
  const host: Host = new Host({
    identity: {
      version,
      maxJobSize,
      id: yield* instanceId,
      startedAt: alarm.now(),
      pid,
      hostname: "localhost",
      os: "effect-beanstalk EmbeddedServer",
      platform: "memory"
    },
    now: alarm.now,
    onNextTick: alarm.set,
    onEvent: (event, { id, state, tube }, client) =>
      journal.add(host.broker.queues.now, event, id, tube.name, state, client?.number)
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => host.close()))
  return { host, server: serverOf(host, journal) }
})

/** 16 hexadecimal digits, of the program's own Random: a seeded program has the same each time. */
const instanceId = Effect.map(
  Effect.all(Array.from({ length: 16 }, () => Random.nextIntBetween(0, 16))),
  (digits) => digits.map((digit) => digit.toString(16)).join("")
)

const jobId = Brand.nominal<JobId>()

const tubeName = Brand.nominal<TubeName>()

const entryOf = ({ id, state, tube, ...entry }: Entry): JournalEntry => ({
  ...entry,
  id: jobId(String(id)),
  tube: tubeName(tube),
  state: state === "invalid" ? "deleted" : state
})

const openConnection = ({ held, isWaiting, number, used, watched }: Connection): OpenConnection => ({
  number,
  uses: tubeName(used.name),
  watches: watched.map(({ name }) => tubeName(name)),
  isWaiting,
  holds: Array.from(held, ({ id }) => jobId(String(id)))
})

const serverOf = (host: Host, journal: Journal): Server => ({
  journal: Effect.sync(() => journal.last.map(entryOf)),
  events: Stream.asyncPush<JournalEntry>((emit) => {
    const listener = (entry: Entry) => emit.single(entryOf(entry))
    return Effect.acquireRelease(
      Effect.sync(() => {
        for (const entry of journal.last) listener(entry)
        journal.listen(listener)
      }),
      () => Effect.sync(() => journal.leave(listener))
    )
  }, { bufferSize: "unbounded" }),
  connections: Effect.sync(() => Array.from(host.broker.connections, openConnection)),
  drain: Effect.sync(() => host.broker.drain()),
  inject: (fault) => Effect.sync(() => host.inject(fault)),
  heal: Effect.sync(() => host.heal())
})
