/** Which servers a cluster has: they join, and leave, as the list of servers changes. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as BeanstalkClient from "../../BeanstalkClient.ts"
import { InvalidArgument } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import type { ServerStats } from "../../Stats.ts"
import { annotateLogs, safeLog } from "../base/logging.ts"
import type { TimerQueue } from "../base/timerQueue.ts"
import { jobsIn } from "../values/jobsIn.ts"
import { largestServer } from "../values/qualifiedId.ts"
import { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

/**
 * A server of a cluster.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server {
  /**
   * Its number, from 0 to 65,535, which is part of the ids of its jobs: it must be the same in all programs, and must not be given to
   * another server as long as ids with it are kept somewhere.
   */
  readonly id: number
  /** How a connection to it is opened. */
  readonly connector: Layer.Layer<Connector, InvalidArgument>
  /** Its share of the jobs, beside that of the others. Default: 1. */
  readonly weight?: number | undefined
}

export interface MembershipOptions {
  readonly client: BeanstalkClient.Options
  readonly timers: TimerQueue
  readonly suspectAfter: number
  readonly leaveTimeout: number
  readonly onJoined: (member: ClusterMember) => void
  readonly onLeft: (member: ClusterMember) => void
}

/** A server that has joined. Its connections close with the Scope. */
interface Joined {
  readonly member: ClusterMember
  readonly scope: Scope.CloseableScope
  /** Waits until it is empty, and closes it, while it is leaving. */
  leaving: Fiber.RuntimeFiber<void> | undefined
}

export interface Membership {
  /** Has the servers of the list join, and the others leave, or none if the list is invalid. Does not wait for any. */
  readonly update: (servers: ReadonlyArray<Server>) => Effect.Effect<void, InvalidArgument>
}

export const make = (members: Members, options: MembershipOptions): Effect.Effect<Membership, never, Scope.Scope> =>
  Effect.gen(function*() {
    // Whatever is added to the Scope of the cluster later closes before its servers do, whenever these have joined.
    const ownScope = yield* Effect.flatMap(Effect.scope, forkScope)
    const joined = new Map<number, Joined>()
    // No list is taken while a server is being removed.
    const exclusively = (yield* Effect.makeSemaphore(1)).withPermits(1)

    const showAll = (servers: ReadonlyArray<Server>) => {
      const listed = servers.flatMap(({ id }) => joined.get(id) ?? [])
      const leaving = Array.from(joined.values()).filter((one) => !listed.includes(one))
      members.all = [...listed, ...leaving].map(({ member }) => member)
    }

    /** Opens all, or none if one of them is invalid. */
    const openAll = (servers: ReadonlyArray<Server>) =>
      Effect.suspend(() => {
        const scopes: Array<Scope.CloseableScope> = []
        const open = (server: Server) =>
          Effect.gen(function*() {
            const scope = yield* forkScope(ownScope)
            scopes.push(scope)
            const joining: Joined = {
              member: yield* Scope.extend(makeMember(members, server, options), scope),
              scope,
              leaving: undefined
            }
            return joining
          })
        return Effect.onError(Effect.forEach(servers, open), (cause) =>
          Effect.forEach(scopes, (scope) => Scope.close(scope, Exit.failCause(cause)), { discard: true }))
      })

    const stay = (one: Joined, { weight = 1 }: Server) =>
      Effect.gen(function*() {
        const { leaving, member } = one
        member.weight = weight
        if (leaving === undefined) return
        yield* Fiber.interrupt(leaving)
        one.leaving = undefined
        member.leave(false)
      })

    const leave = (one: Joined) =>
      Effect.gen(function*() {
        const { leaving, member, scope } = one
        if (leaving !== undefined) return
        member.leave(true)
        const remove = Effect.sync(() => {
          joined.delete(member.id)
          members.all = members.all.filter((other) => other !== member)
          options.onLeft(member)
        })
        const close = Effect.gen(function*() {
          const last = yield* untilEmpty(member, options.leaveTimeout)
          yield* exclusively(remove)
          yield* Effect.uninterruptible(Effect.zipRight(Scope.close(scope, Exit.void), logLeft(member, last)))
        })
        one.leaving = yield* Effect.forkIn(Effect.interruptible(close), ownScope)
      })

    const update = (servers: ReadonlyArray<Server>): Effect.Effect<void, InvalidArgument> =>
      Effect.gen(function*() {
        const invalid = findInvalid(servers)
        if (invalid !== undefined) return yield* invalid
        const opened = yield* openAll(servers.filter(({ id }) => !joined.has(id)))
        yield* Effect.uninterruptible(Effect.gen(function*() {
          for (const one of opened) joined.set(one.member.id, one)
          const listed = new Map(servers.map((server) => [server.id, server]))
          for (const [id, one] of joined) {
            const server = listed.get(id)
            yield* server === undefined ? leave(one) : stay(one, server)
          }
          showAll(servers)
          for (const { member } of opened) options.onJoined(member)
        }))
      })

    return { update: (servers) => exclusively(update(servers)) }
  })

const forkScope = (scope: Scope.Scope) => Scope.fork(scope, ExecutionStrategy.sequential)

const findInvalid = (servers: ReadonlyArray<Server>): InvalidArgument | undefined => {
  const refuse = (argument: string, reason: string) => new InvalidArgument({ command: "connect", argument, reason })
  const seen = new Set<number>()
  for (const { id, weight = 1 } of servers) {
    if (!Number.isInteger(id) || id < 0 || id > largestServer) {
      return refuse("id", `of a server must be an integer from 0 to ${largestServer}, but is ${id}`)
    }
    if (seen.has(id)) return refuse("id", `of a server must be its own, but two have ${id}`)
    if (!(weight > 0 && Number.isFinite(weight))) {
      return refuse("weight", `of server ${id} must be a number above 0, but is ${weight}`)
    }
    seen.add(id)
  }
  return undefined
}

const makeMember = (members: Members, { connector, id, weight = 1 }: Server, options: MembershipOptions) =>
  Effect.gen(function*() {
    const { address, socket } = Context.get(yield* Layer.build(connector), Connector)
    const makeClient = (server: number | undefined, client: BeanstalkClient.Options) =>
      Effect.provideService(BeanstalkClient.make(client), Connector, { address, socket, server })
    const client = yield* makeClient(id, options.client)
    const { shared } = client.dedicated
    if (shared === undefined) return yield* Effect.dieMessage("the client of one server has a shared connection")
    const member: ClusterMember = new ClusterMember({
      ...options,
      id,
      weight,
      client,
      // Two clients of one server would overwrite each other's gauges.
      ownClient: yield* makeClient(undefined, { ...options.client, metrics: false }),
      shared,
      onChange: () => members.onChange(member)
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => member.close()))
    yield* Effect.forkScoped(Effect.interruptible(
      Stream.runForEach(client.changes, (state) => {
        member.onState(state)
        return warnOfTwin(members, member)
      })
    ))
    return member
  })

/** Two names of one server would have all its jobs counted twice. */
const warnOfTwin = ({ all }: Members, member: ClusterMember): Effect.Effect<void> => {
  const twin = all.find((other) =>
    other !== member && other.instance !== undefined && other.instance === member.instance
  )
  if (twin === undefined) return Effect.void
  return annotateLogs("BeanstalkCluster")(safeLog(Effect.logWarning(
    `Servers ${twin.id} at ${twin.address} and ${member.id} at ${member.address} are one beanstalkd with two names, ` +
      "whose jobs are counted twice. Remove one of them from the list."
  )))
}

/** Waits until no job is left that a worker would take, or the time is over. Succeeds with what the server counted last. */
const untilEmpty = ({ client }: ClusterMember, leaveTimeout: number): Effect.Effect<ServerStats | undefined> =>
  Effect.suspend(() => {
    let last: ServerStats | undefined
    const count = Effect.map(Effect.option(client.stats), (stats) => {
      last = stats._tag === "Some" ? stats.value : last
      return stats._tag === "Some" && jobsIn(stats.value, ["ready", "reserved", "delayed"]) === 0
    })
    return Effect.repeat(count, { until: (isEmpty) => isEmpty, schedule: Schedule.spaced("1 second") }).pipe(
      Effect.timeoutOption(Duration.millis(leaveTimeout)),
      Effect.map(() => last)
    )
  })

const logLeft = ({ address, id }: ClusterMember, last: ServerStats | undefined): Effect.Effect<void> => {
  const left = `Server ${id} at ${address} has left the cluster`
  const jobs = last === undefined ? undefined : jobsIn(last, ["ready", "reserved", "delayed", "buried"])
  const log = jobs === 0
    ? Effect.logInfo(`${left}. No job stays there.`)
    : jobs === undefined
    ? Effect.logWarning(`${left}. It did not answer: how many jobs stay there is unknown.`)
    : Effect.logWarning(
      `${left}. ${jobs} jobs stay there, ${
        last?.currentJobsBuried ?? 0
      } of them buried: move them, or put the server back into the list.`
    )
  return annotateLogs("BeanstalkCluster")(safeLog(log))
}
