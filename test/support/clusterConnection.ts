/** A connection to each server of a cluster, for tests, as one. */
import type { BeanstalkConnection } from "effect-beanstalk"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { addServerStats, addTubeStats } from "../../src/internal/cluster/stats.ts"
import { serverOf } from "../../src/internal/values/qualifiedId.ts"
import { isJobId } from "../../src/Job.ts"

type Connection = BeanstalkConnection.Connection

/**
 * Jobs are put on one server after the other, a command that names a job is sent to its server, and one about a tube, or all tubes, to
 * all. It reserves from the first server that has a job.
 */
export const ofServers = (connections: ReadonlyMap<number, Connection>): Connection => {
  const all = Array.from(connections.values())
  if (!Arr.isNonEmptyArray(all)) throw new Error("a cluster for tests has servers")
  const [first, ...others] = all
  let turn = 0
  const next = () => all[turn++ % all.length] ?? first
  const ofJob = (id: string) => (isJobId(id) ? connections.get(serverOf(id)) : undefined) ?? first
  const onAll = <A, E>(ask: (connection: Connection) => Effect.Effect<A, E>): Effect.Effect<Arr.NonEmptyArray<A>, E> =>
    Effect.forEach(all, ask)
  const firstFound = <A, E>(ask: (connection: Connection) => Effect.Effect<Option.Option<A>, E>) =>
    Effect.map(onAll(ask), Option.firstSomeOf)
  const reserveWithTimeout: Connection["reserveWithTimeout"] = (timeout) =>
    others.reduce(
      (found, connection) => Effect.catchTag(found, "TimedOut", () => connection.reserveWithTimeout(timeout)),
      first.reserveWithTimeout(timeout)
    )
  return {
    ...first,
    put: (body, options) => Effect.suspend(() => next().put(body, options)),
    use: (tube) => Effect.map(onAll(({ use }) => use(tube)), ([name]) => name),
    watch: (tube) => Effect.map(onAll(({ watch }) => watch(tube)), ([count]) => count),
    ignore: (tube) => Effect.map(onAll(({ ignore }) => ignore(tube)), ([count]) => count),
    // A reserve that is interrupted, since another server has a job, would close its connection.
    reserve: Effect.retry(reserveWithTimeout(0), {
      while: ({ _tag }) => _tag === "TimedOut",
      schedule: Schedule.spaced("5 millis")
    }).pipe(Effect.catchTags({ TimedOut: Effect.die, InvalidArgument: Effect.die })),
    reserveWithTimeout,
    reserveJob: (id) => ofJob(id).reserveJob(id),
    delete: (id) => ofJob(id).delete(id),
    release: (id, options) => ofJob(id).release(id, options),
    bury: (id, priority) => ofJob(id).bury(id, priority),
    touch: (id) => ofJob(id).touch(id),
    peek: (id) => ofJob(id).peek(id),
    kickJob: (id) => ofJob(id).kickJob(id),
    statsJob: (id) => ofJob(id).statsJob(id),
    peekReady: (options) => firstFound(({ peekReady }) => peekReady(options)),
    peekDelayed: (options) => firstFound(({ peekDelayed }) => peekDelayed(options)),
    peekBuried: (options) => firstFound(({ peekBuried }) => peekBuried(options)),
    kick: (bound, options) =>
      Effect.map(onAll(({ kick }) => kick(bound, options)), (counts) => counts.reduce((a, b) => a + b, 0)),
    stats: Effect.map(onAll(({ stats }) => stats), (every) => addServerStats(every)),
    statsTube: (tube) => Effect.map(onAll(({ statsTube }) => statsTube(tube)), (every) => addTubeStats(every)),
    listTubes: Effect.map(onAll(({ listTubes }) => listTubes), (lists) => Arr.dedupe(lists.flat())),
    pauseTube: (tube, duration) => Effect.asVoid(onAll(({ pauseTube }) => pauseTube(tube, duration)))
  }
}
