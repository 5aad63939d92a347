/** A host that runs by Effect's Clock, and what its users see of it. */
import * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { JournalEntry, OpenConnection, Options, Server } from "../../EmbeddedServer.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { Connection } from "../broker/connection.ts"
import type { JobState } from "../broker/job.ts"
import type { JobEvent } from "../broker/queues.ts"
import * as Alarm from "./alarm.ts"
import { Host } from "./host.ts"
import { Journal } from "./journal.ts"

/** A host that lives as long as the scope. */
export const start = Effect.fnUntraced(function*(options: Options = {}) {
  const { journalSize = 100_000, maxJobSize = 65_535, version = "1.13" } = options
  const journal = new Journal<Event>(journalSize)
  const alarm: Alarm.Alarm = yield* Alarm.make(() => host.ring())
  const host: Host = new Host({
    identity: {
      version,
      maxJobSize,
      id: yield* instanceId,
      startedAt: alarm.now(),
      pid: 0,
      hostname: "localhost",
      os: "effect-beanstalk EmbeddedServer",
      platform: "memory"
    },
    now: alarm.now,
    onNextTick: alarm.set,
    onEvent: (event, { id, state, tube }, client) =>
      journal.add({ at: host.broker.queues.now, event, id, tube: tube.name, state, connection: client?.number })
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => host.close()))
  return { host, server: serverOf(host, journal) }
})

/** 16 hexadecimal digits, of the program's own Random: a seeded program has the same each time. */
const instanceId = Effect.map(
  Effect.all(Array.from({ length: 16 }, () => Random.nextIntBetween(0, 16))),
  (digits) => digits.map((digit) => digit.toString(16)).join("")
)

/** What is written down at the moment. It costs little, since most of it is never read. */
interface Event {
  readonly at: number
  readonly event: JobEvent
  readonly id: number
  readonly tube: string
  readonly state: JobState
  readonly connection: number | undefined
}

const jobId = Brand.nominal<JobId>()

const tubeName = Brand.nominal<TubeName>()

const entryOf = ({ id, state, tube, ...event }: Event): JournalEntry => ({
  ...event,
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

const serverOf = (host: Host, journal: Journal<Event>): Server => ({
  journal: Effect.sync(() => journal.last.map(entryOf)),
  events: Stream.asyncPush<JournalEntry>((emit) => {
    const listener = (event: Event) => emit.single(entryOf(event))
    return Effect.acquireRelease(
      Effect.sync(() => journal.listen(listener)),
      () => Effect.sync(() => journal.leave(listener))
    )
  }, { bufferSize: "unbounded" }),
  connections: Effect.sync(() =>
    Array.from(host.connections, ({ connection }) => connection).filter(({ isClosed }) => !isClosed).map(openConnection)
  ),
  drain: Effect.sync(() => host.broker.drain()),
  inject: (fault) => Effect.sync(() => host.inject(fault)),
  heal: Effect.sync(() => host.heal())
})
