/** Asks all servers of a cluster, and finds the server of a job. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Client } from "../../BeanstalkClient.ts"
import { type ConnectFailed, InvalidArgument, TubeNotFound } from "../../BeanstalkError.ts"
import * as AtOnce from "../base/atOnce.ts"
import { errorOf } from "../base/errorOf.ts"
import * as Validate from "../protocol/validate.ts"
import { describeId, serverOf } from "../values/qualifiedId.ts"
import type { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

/** How a server answered. */
export interface Answer<A, E> {
  readonly member: ClusterMember
  readonly exit: Exit.Exit<A, E | ConnectFailed>
}

/** Asks all servers at once. Those that are down are not waited for. */
export const askAll = <A, E>(
  members: Members,
  ask: (client: Client) => Effect.Effect<A, E>
): Effect.Effect<ReadonlyArray<Answer<A, E>>> =>
  Effect.suspend(() =>
    AtOnce.forEach(
      members.all,
      (member) => Effect.map(Effect.exit(askOne(member, ask)), (exit) => ({ member, exit }))
    )
  )

/**
 * Asks a server, or fails at once if it is known to be down. Before it has been connected, that is known when the first attempt fails:
 * the client would wait for the next one.
 */
export const askOne = <A, E>(
  { client, down, isConnected, unavailable }: ClusterMember,
  ask: (client: Client) => Effect.Effect<A, E>
): Effect.Effect<A, E | ConnectFailed> =>
  unavailable ?? (isConnected ? ask(client) : AtOnce.raceFirst(ask(client), Effect.interruptible(down)))

/** What those servers answered that did, and the addresses of the others. */
export interface Answered<A> {
  readonly all: Arr.NonEmptyReadonlyArray<A>
  readonly notAnswered: ReadonlyArray<string>
}

/** Asks all servers at once. Fails with the first error if none answers. */
export const askAny = <A, E>(
  members: Members,
  ask: (client: Client) => Effect.Effect<A, E>
): Effect.Effect<Answered<A>, E | ConnectFailed> =>
  Effect.flatMap(askAll(members, ask), (answers) => answered(members, answers))

/** The answers of those servers that did answer. Fails with the first error if none did. */
export const answered = <A, E>(
  members: Members,
  answers: ReadonlyArray<Answer<A, E>>
): Effect.Effect<Answered<A>, E | ConnectFailed> => {
  const all = answers.flatMap(({ exit }) => Exit.isSuccess(exit) ? [exit.value] : [])
  const failed = answers.filter(({ exit }) => Exit.isFailure(exit))
  if (Arr.isNonEmptyReadonlyArray(all)) {
    return Effect.succeed({ all, notAnswered: failed.map(({ member }) => member.address) })
  }
  const [first] = answers
  return first !== undefined && Exit.isFailure(first.exit) ? Effect.failCause(first.exit.cause) : members.nobody()
}

/** Succeeds once all have ended, or fails with the first error. */
export const allDone = <A, E>(
  members: Members,
  answers: ReadonlyArray<Answer<A, E>>
): Effect.Effect<ReadonlyArray<A>, E | ConnectFailed> =>
  answers.length === 0 ? members.nobody() : Effect.forEach(answers, ({ exit }) => exit)

/** Those answers whose server has the tube; all if none has it. */
export const withTube = <A, E>(answers: ReadonlyArray<Answer<A, E>>): ReadonlyArray<Answer<A, E>> => {
  const some = answers.filter(({ exit }) => !(errorOf(exit) instanceof TubeNotFound))
  return some.length > 0 ? some : answers
}

/** The server of a job. */
export const memberOf = (members: Members, command: string, id: string): ClusterMember | InvalidArgument => {
  const checked = Validate.attempt(() => Validate.jobId(command, id))
  if (checked instanceof InvalidArgument) return checked
  return members.get(serverOf(checked)) ?? new InvalidArgument({
    command,
    argument: "id",
    reason: `is of server ${serverOf(checked)}, which is not in the cluster: job ${describeId(checked)}`
  })
}

/** Asks the server of a job. */
export const askServerOf = <A, E>(
  members: Members,
  command: string,
  id: string,
  ask: (client: Client) => Effect.Effect<A, E>
): Effect.Effect<A, E | InvalidArgument> =>
  Effect.suspend((): Effect.Effect<A, E | InvalidArgument> => {
    const member = memberOf(members, command, id)
    return member instanceof InvalidArgument ? member : ask(member.client)
  })

/** Some of many things about jobs: those of one server, with their places among all. */
export interface Share<Item> {
  readonly member: ClusterMember
  readonly items: ReadonlyArray<Item>
  readonly places: ReadonlyArray<number>
}

/** Divides things about jobs by their servers. */
export const divide = <Item>(
  members: Members,
  command: string,
  items: Iterable<Item>,
  idOf: (item: Item) => string
): ReadonlyArray<Share<Item>> | InvalidArgument => {
  const shares = new Map<ClusterMember, { readonly items: Array<Item>; readonly places: Array<number> }>()
  let place = 0
  for (const item of items) {
    const member = memberOf(members, command, idOf(item))
    if (member instanceof InvalidArgument) return member
    const share = shares.get(member) ?? { items: [], places: [] }
    share.items.push(item)
    share.places.push(place)
    shares.set(member, share)
    place += 1
  }
  return Array.from(shares, ([member, share]) => ({ member, ...share }))
}

/**
 * Does something about many jobs, on all their servers at once, and succeeds with a result for each job, in the order of the jobs. If one
 * server fails, the others finish.
 */
export const forJobs = <Item, A, E>(
  members: Members,
  command: string,
  items: Iterable<Item>,
  idOf: (item: Item) => string,
  run: (client: Client, items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<A>, E>
): Effect.Effect<ReadonlyArray<A>, E | InvalidArgument> =>
  Effect.suspend((): Effect.Effect<ReadonlyArray<A>, E | InvalidArgument> => {
    const shares = divide(members, command, items, idOf)
    if (shares instanceof InvalidArgument) return shares
    const runShare = ({ items, member, places }: Share<Item>) =>
      Effect.map(run(member.client, items), (results) => Arr.zip(places, results))
    return AtOnce.forEach(shares, (share) => Effect.exit(runShare(share))).pipe(
      Effect.flatMap((exits) => Effect.forEach(exits, (exit) => exit)),
      Effect.map((results) => results.flat().toSorted(([one], [other]) => one - other).map(([, result]) => result))
    )
  })
