/** The commands of a client, on a cluster. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Client } from "../../BeanstalkClient.ts"
import { type ConnectFailed, InvalidArgument, type TubeError } from "../../BeanstalkError.ts"
import { defaultTube, type TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import { errorOf } from "../base/errorOf.ts"
import { fromCallback } from "../base/fromCallback.ts"
import type { Dedicated, HasDedicated } from "../client/dedicated.ts"
import { sameTube } from "../client/move.ts"
import * as PutAll from "../client/putAll.ts"
import { putCommand } from "../client/putCommand.ts"
import * as Validate from "../protocol/validate.ts"
import { bulk } from "./bulk.ts"
import {
  allDone,
  type Answer,
  type Answered,
  answered,
  askAll,
  askAny,
  askOne,
  askServerOf,
  forJobs,
  withTube
} from "./gather.ts"
import { makeListJobs, makeListJobsById } from "./jobs.ts"
import type { Members } from "./members.ts"
import { makeSubmit } from "./placement.ts"
import { select } from "./selection.ts"
import { addServerStats, addTubeStats } from "./stats.ts"

type Commands = Pick<
  Client,
  | "ready"
  | "lease"
  | "leaseWith"
  | "put"
  | "putAll"
  | "peek"
  | "peekReady"
  | "peekDelayed"
  | "peekBuried"
  | "statsJob"
  | "statsTube"
  | "stats"
  | "statsTubes"
  | "listTubes"
  | "jobs"
  | "jobsById"
  | "delete"
  | "deleteAll"
  | "kickAll"
  | "buryAll"
  | "kick"
  | "kickJob"
  | "pauseTube"
  | "purge"
  | "move"
>

export const commands = (members: Members, dedicated: Dedicated): Commands => {
  const submitPut = makeSubmit(members, "unlessStored")
  const submitBatch = makeSubmit(members, "unlessRefused")
  const one = select(members)

  const peekFirst = (peek: "peekReady" | "peekDelayed" | "peekBuried"): Client["peekReady"] => (tube) =>
    Effect.map(askAny(members, (client) => client[peek](tube)), ({ all }) => Option.firstSomeOf(all))

  return {
    ready: Effect.flatMap(one, ({ client }) => client.ready),
    lease: Effect.flatMap(one, ({ client }) => client.lease),
    leaseWith: (options) => Effect.flatMap(one, ({ client }) => client.leaseWith(options)),

    put: (tube, body, options) => {
      const command = putCommand(tube, body, options)
      return command._tag === "Command" ? fromCallback((settle) => submitPut(command, settle)) : command
    },
    putAll: (tube, bodies, options) =>
      Stream.suspend(() => {
        // A window for each server.
        const window = (options?.window ?? 1024) * Math.max(members.all.length, 1)
        return PutAll.putAll(bodies, tube, { ...options, window }, {
          address: dedicated.address,
          submit: (command, settle, which) => ({ cancel: submitBatch(command, (exit) => settle(exit, which)) })
        })
      }),

    peek: (id) => askServerOf(members, "peek", id, (client) => client.peek(id)),
    peekReady: peekFirst("peekReady"),
    peekDelayed: peekFirst("peekDelayed"),
    peekBuried: peekFirst("peekBuried"),
    statsJob: (id) => askServerOf(members, "stats-job", id, (client) => client.statsJob(id)),
    statsTube: (tube) =>
      Effect.gen(function*() {
        const answers = yield* askAll(members, (client) => client.statsTube(tube))
        const { all, notAnswered } = yield* answered(members, withTube(answers))
        return addTubeStats(all, notAnswered)
      }),
    stats: Effect.map(
      askAny(members, ({ stats }) => stats),
      ({ all, notAnswered }) => addServerStats(all, notAnswered)
    ),
    statsTubes: (tubes) =>
      Effect.suspend(() => {
        const names = tubes === undefined ? undefined : Array.from(tubes)
        return Effect.map(askAny(members, ({ statsTubes }) => statsTubes(names)), addByTube)
      }),
    listTubes: Effect.map(askAny(members, ({ listTubes }) => listTubes), ({ all }) => Arr.dedupe(all.flat())),
    jobs: makeListJobs(members),
    jobsById: makeListJobsById(members),

    delete: (id) => askServerOf(members, "delete", id, (client) => client.delete(id)),
    deleteAll: (ids) => forJobs(members, "delete", ids, (id) => id, (client, some) => client.deleteAll(some)),
    kickAll: (ids) => forJobs(members, "kick-job", ids, (id) => id, (client, some) => client.kickAll(some)),
    buryAll: (jobs) => forJobs(members, "bury", jobs, ({ id }) => id, (client, some) => client.buryAll(some)),
    kick: (tube, bound) => kick(members, tube, bound),
    kickJob: (id) => askServerOf(members, "kick-job", id, (client) => client.kickJob(id)),
    pauseTube: (tube, duration) =>
      Effect.gen(function*() {
        const answers = yield* askAll(members, (client) => client.pauseTube(tube, duration))
        yield* allDone(members, withTube(answers))
      }),
    purge: (tube, options) => bulk(members, "purge", tube, options, (client, own) => client.purge(tube, own)),
    move: (from, to, options = {}) => {
      const { into } = options
      const moving = bulk(members, "move", from, options, (client, own) => client.move(from, to, { ...own, into }))
      if (from !== to || into === undefined) return moving
      return into.dedicated === dedicated
        ? sameTube(to)
        : Effect.if(isAmong(members, into), { onTrue: () => sameTube(to), onFalse: () => moving })
    }
  }
}

/** Whether a client is for one of the servers that answer, also under another address. */
const isAmong = (members: Members, { dedicated }: HasDedicated) =>
  Effect.gen(function*() {
    const { server } = yield* Effect.flatMap(dedicated.onOne, (one) => one.open(defaultTube))
    const answers = yield* askAll(members, ({ stats }) => stats)
    return answers.some(({ exit }) => Exit.isSuccess(exit) && exit.value.id === server.id)
  }).pipe(Effect.scoped)

const addByTube = (
  { all, notAnswered }: Answered<ReadonlyArray<TubeStats>>
): ReadonlyArray<TubeStats> => {
  const byTube = new Map<TubeName, Arr.NonEmptyArray<TubeStats>>()
  for (const stats of all.flat()) {
    const others = byTube.get(stats.name)
    if (others === undefined) byTube.set(stats.name, [stats])
    else others.push(stats)
  }
  return Array.from(byTube.values(), (same) => addTubeStats(same, notAnswered))
}

/**
 * On one server after the other, until as many jobs as asked for are kicked. Delayed jobs only if none is buried on any server. A server
 * that cannot be reached is left out. One that fails otherwise may have kicked some: on the others too many would be kicked.
 */
const kick = (members: Members, tube: string, bound: number): ReturnType<Client["kick"]> =>
  Effect.gen(function*() {
    const checked = Validate.attempt(() => Validate.u32("kick", "bound", bound))
    if (checked instanceof InvalidArgument) return yield* checked
    const stats = yield* askAll(members, (client) => client.statsTube(tube))
    const withBuried = stats.filter(({ exit }) => Exit.isSuccess(exit) && exit.value.currentJobsBuried > 0)
    const answers: Array<Answer<number, TubeError>> = []
    let kicked = 0
    for (const { member } of withBuried.length > 0 ? withBuried : stats) {
      if (kicked > 0 && kicked >= checked) break
      const exit = yield* Effect.exit(askOne(member, (client) => client.kick(tube, checked - kicked)))
      if (Exit.isFailure(exit) && !isUnreachable(errorOf(exit))) return yield* exit
      if (Exit.isSuccess(exit)) kicked += exit.value
      answers.push({ member, exit })
    }
    yield* answered(members, answers)
    return kicked
  })

const isUnreachable = (error: TubeError | ConnectFailed | undefined): boolean =>
  error?._tag === "ConnectFailed" || (error?._tag === "ConnectionLost" && error.outcome === "NotSent")
