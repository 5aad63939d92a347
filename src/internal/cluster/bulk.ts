/** `purge` and `move` on all servers of a cluster. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { BulkError, BulkOptions, Client, Tally } from "../../BeanstalkClient.ts"
import { BulkStopped, type ConnectFailed, ConnectionLost, InvalidArgument } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import { errorOf } from "../base/errorOf.ts"
import * as Validate from "../protocol/validate.ts"
import { divide } from "./gather.ts"
import type { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

const none: Tally = { ready: 0, delayed: 0, buried: 0 }

const add = (one: Tally, other: Tally): Tally => ({
  ready: one.ready + other.ready,
  delayed: one.delayed + other.delayed,
  buried: one.buried + other.buried
})

const total = ({ buried, delayed, ready }: Tally): number => ready + delayed + buried

/** The part of one server. */
interface Part {
  readonly member: ClusterMember
  readonly ids: ReadonlyArray<string> | undefined
}

/**
 * Runs it on all servers at once, or one after the other if the number of jobs is bounded. If one fails, the others go on, and it fails
 * with the sum of all.
 */
export const bulk = (
  members: Members,
  command: "purge" | "move",
  tubeName: string,
  options: BulkOptions = {},
  run: (client: Client, options: BulkOptions) => Effect.Effect<Tally, BulkError>
): Effect.Effect<Tally, BulkError> =>
  Effect.suspend((): Effect.Effect<Tally, BulkError> => {
    const checked = Validate.attempt(() => ({
      tube: Validate.tubeName(command, tubeName),
      bound: options.bound === undefined ? undefined : Validate.u32(command, "bound", options.bound)
    }))
    if (checked instanceof InvalidArgument) return checked
    const parts = divideParts(members, command, options)
    if (parts instanceof InvalidArgument) return parts
    if (parts.length === 0) return options.ids === undefined ? members.nobody() : Effect.succeed(none)
    const { bound, tube } = checked
    const { onProgress } = options
    const tallies = new Map<ClusterMember, Tally>()
    const sum = () => Array.from(tallies.values()).reduce(add, none)

    const runPart = ({ ids, member }: Part) =>
      Effect.suspend(() => {
        const left = bound === undefined ? undefined : bound - total(sum())
        if (left === 0) return Effect.succeed(none)
        const note = (done: Tally) => Effect.sync(() => void tallies.set(member, { ...done }))
        return Effect.tap(
          run(member.client, {
            ...options,
            ids,
            bound: left,
            onProgress: (done) => Effect.zipRight(note(done), Effect.suspend(() => onProgress?.(sum()) ?? Effect.void))
          }),
          note
        )
      }).pipe(Effect.tapErrorTag("BulkStopped", ({ done }) => Effect.sync(() => void tallies.set(member, done))))

    const exits = Effect.forEach(parts, (part) => Effect.exit(runPart(part)), {
      concurrency: bound === undefined ? "unbounded" : 1
    })
    return Effect.flatMap(exits, (all) => {
      const failed = all.find(Exit.isFailure)
      return failed === undefined ? Effect.succeed(sum()) : failWith(command, tube, failed.cause, sum())
    })
  })

const divideParts = (
  members: Members,
  command: string,
  { ids }: BulkOptions
): ReadonlyArray<Part> | InvalidArgument => {
  if (ids === undefined) return members.all.map((member) => ({ member, ids: undefined }))
  const shares = divide(members, command, ids, (id) => id)
  return shares instanceof InvalidArgument ? shares : shares.map(({ items, member }) => ({ member, ids: items }))
}

/** With the sum of what all servers have done. */
const failWith = (
  command: "purge" | "move",
  tube: TubeName,
  cause: Cause.Cause<BulkError>,
  done: Tally
): Effect.Effect<never, BulkError> => {
  const error = errorOf(Exit.failCause(cause))
  if (error === undefined || error._tag === "InvalidArgument") return Effect.failCause(cause)
  if (error._tag === "ConnectFailed" && total(done) === 0) return error
  return new BulkStopped({
    command,
    address: error.address,
    tube,
    done,
    cause: error._tag === "BulkStopped" ? error.cause : notSent(command, error)
  })
}

const notSent = (command: string, cause: ConnectFailed) =>
  new ConnectionLost({ command, address: cause.address, outcome: "NotSent", reason: cause.detail, cause })
