/** Puts a cluster together. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Utils from "effect/Utils"
import { type Options as ClientOptions, State } from "../../BeanstalkClient.ts"
import { InvalidArgument } from "../../BeanstalkError.ts"
import { type Health, is, type Limits } from "../../Health.ts"
import { errorOf } from "../base/errorOf.ts"
import { healthOf } from "../base/healthOf.ts"
import { annotateLogs, safeLog } from "../base/logging.ts"
import { LoopLateness } from "../base/loopLateness.ts"
import { make as makeTimerQueue, type TimerQueue } from "../base/timerQueue.ts"
import type { Dedicated } from "../client/dedicated.ts"
import { defaultReconnect } from "../client/reconnect.ts"
import * as Workers from "../client/workers.ts"
import * as Validate from "../protocol/validate.ts"
import { commands } from "./commands.ts"
import type { MemberEvent } from "./events.ts"
import { askAll } from "./gather.ts"
import { Members, type Strategy } from "./members.ts"
import * as Membership from "./membership.ts"
import { select } from "./selection.ts"

/** See `BeanstalkCluster.Options`. */
export interface Options extends ClientOptions {
  /** Which server gets a job. Default: `"leastOwed"`. */
  readonly strategy?: Strategy | undefined
  /** How long a server may owe answers, and send none, until it gets no more jobs for as long as it does. Default: 500 ms. */
  readonly suspectAfter?: Duration.DurationInput | undefined
  /**
   * How long a server that is not in the list any more may take until no job is ready, delayed or reserved there. Then its connections
   * are closed, and a warning says how many jobs stay there. Default: 1 minute.
   */
  readonly leaveTimeout?: Duration.DurationInput | undefined
}

export type Servers = ReadonlyArray<Membership.Server> | Stream.Stream<ReadonlyArray<Membership.Server>>

const checkOptions = (options: Options) =>
  Validate.attempt(() => ({
    strategy: options.strategy ?? "leastOwed",
    offlineTimeout: Validate.positiveDuration("connect", "offlineTimeout", options.offlineTimeout ?? "10 seconds"),
    suspectAfter: Validate.positiveDuration("connect", "suspectAfter", options.suspectAfter ?? "500 millis"),
    leaveTimeout: Validate.duration("connect", "leaveTimeout", options.leaveTimeout ?? "1 minute")
  }))

/** What a cluster has, closed with the Scope. */
export const make = (servers: Servers, options: Options) =>
  Effect.gen(function*() {
    const settings = checkOptions(options)
    if (settings instanceof InvalidArgument) return yield* settings
    const timers = yield* makeTimerQueue
    const events = yield* PubSub.unbounded<MemberEvent>()
    const random = new Utils.PCGRandom(yield* Random.nextInt)
    const address = options.name ?? "the cluster"
    const members = new Members({
      ...settings,
      address,
      timers,
      random: () => random.number(),
      onChange: ({ snapshot }) => void events.unsafeOffer({ _tag: "Changed", member: snapshot })
    })
    const membership = yield* Membership.make(members, {
      ...settings,
      client: options,
      timers,
      onJoined: ({ snapshot }) => void events.unsafeOffer({ _tag: "Joined", member: snapshot }),
      onLeft: ({ snapshot }) => void events.unsafeOffer({ _tag: "Left", member: snapshot })
    })
    yield* follow(membership, servers)
    yield* Effect.addFinalizer(() => Effect.zipRight(Effect.sync(() => members.close()), PubSub.shutdown(events)))
    // Workers are shut down before the connections of the servers close.
    const workers = yield* Workers.make(address)
    const dedicated = makeDedicated(members, { address, workers, reconnect: options.reconnect ?? defaultReconnect })
    return {
      address,
      members,
      commands: commands(members, dedicated),
      changes: changesOf(members, events),
      memberChanges: Stream.fromPubSub(events),
      health: makeHealth(members, timers),
      dedicated
    }
  })

/** A list is taken as it is. Of a Stream, a list that is invalid is left out. */
const follow = (
  { update }: Membership.Membership,
  servers: Servers
): Effect.Effect<void, InvalidArgument, Scope.Scope> =>
  isList(servers)
    ? update(servers)
    : servers.pipe(
      Stream.runForEach((list) => Effect.catchAllCause(update(list), logInvalid)),
      Effect.catchAllCause(logDied),
      Effect.interruptible,
      Effect.forkScoped,
      Effect.asVoid
    )

const isList = (servers: Servers): servers is ReadonlyArray<Membership.Server> => Array.isArray(servers)

const logInvalid = (cause: Cause.Cause<InvalidArgument>) =>
  logError(
    "The cluster keeps its servers, since the new list is invalid: " +
      (errorOf(Exit.failCause(cause))?.message ?? Cause.pretty(cause))
  )

const logDied = (cause: Cause.Cause<never>) =>
  logError("The cluster keeps its servers from now on, since the Stream of their lists has died.", cause)

const logError = (...message: ReadonlyArray<unknown>) =>
  annotateLogs("BeanstalkCluster")(safeLog(Effect.logError(...message)))

/** The present state of the cluster, and every later one, until `Closed`. */
const changesOf = (members: Members, events: PubSub.PubSub<MemberEvent>): Stream.Stream<State> =>
  Stream.unwrapScoped(
    Effect.map(PubSub.subscribe(events), (subscription) =>
      Stream.concat(
        Stream.sync(() => members.state),
        // It ends when the cluster is closed.
        Stream.map(Stream.concat(Stream.fromQueue(subscription), Stream.void), () => members.state)
      ))
  ).pipe(
    Stream.changes,
    Stream.takeUntil(State.$is("Closed"))
  )

const makeDedicated = (
  members: Members,
  own: Pick<Dedicated, "address" | "reconnect" | "workers">
): Dedicated => {
  const onOne = Effect.map(select(members), ({ client }) => client.dedicated)
  return {
    ...own,
    metrics: undefined,
    shared: undefined,
    servers: (onChange) => members.listen((list) => onChange(list.map(({ client }) => client.dedicated))),
    onOne,
    open: (...to) => Effect.flatMap(onOne, ({ open }) => open(...to)),
    openUnbounded: (tube) => Effect.flatMap(onOne, ({ openUnbounded }) => openUnbounded(tube))
  }
}

/** `Degraded` only if all servers are, or there are none: jobs are put on the others. The event loop is the same for all. */
const makeHealth = (members: Members, timers: TimerQueue) => {
  const ofCluster = healthOf({
    now: timers.now,
    lateness: new LoopLateness(timers),
    trouble: () => members.trouble
  })
  return (limits?: Limits): Effect.Effect<Health> =>
    Effect.gen(function*() {
      const own = yield* ofCluster(limits)
      const all = yield* Effect.forEach(members.all, ({ client }) => client.health(limits))
      return is("Healthy")(own) ? all.find(is("Healthy")) ?? all[0] ?? own : own
    })
}

/** The statistics of each server. */
export const statsAll = (members: Members) =>
  Effect.map(
    askAll(members, ({ stats }) => stats),
    (answers) => answers.map(({ exit, member }) => ({ member: member.snapshot, stats: exit }))
  )
