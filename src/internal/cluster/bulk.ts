/** `purge` and `move` on all servers of a cluster. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { BulkError, BulkOptions, Client } from "../../BeanstalkClient.ts"
import { BulkStopped, type ConnectFailed, ConnectionLost, InvalidArgument } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import * as AtOnce from "../base/atOnce.ts"
import { errorOf } from "../base/errorOf.ts"
import * as Validate from "../protocol/validate.ts"
import { nothing, sum, type Tally, total } from "../values/tally.ts"
import { askOne, divide } from "./gather.ts"
import type { ClusterMember } from "./member.ts"
import type { Members } from "./members.ts"

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
    if (parts.length === 0) return options.ids === undefined ? members.nobody() : Effect.succeed(nothing)
    const { bound, tube } = checked
    const { onProgress } = options
    const tallies = new Map<ClusterMember, Tally>()
    const done = () => sum(tallies.values())

    const runPart = ({ ids, member }: Part) =>
      Effect.suspend(() => {
        const left = bound === undefined ? undefined : bound - total(done())
        if (left === 0) return Effect.succeed(nothing)
        const note = (own: Tally) => Effect.sync(() => void tallies.set(member, { ...own }))
        const part: BulkOptions = {
          ...options,
          ids,
          bound: left,
          onProgress: (own) => Effect.zipRight(note(own), Effect.suspend(() => onProgress?.(done()) ?? Effect.void))
        }
        return Effect.tap(askOne(member, (client) => run(client, part)), note)
      })

    const exitOf = (part: Part) => Effect.exit(runPart(part))
    const exits = bound === undefined ? AtOnce.forEach(parts, exitOf) : Effect.forEach(parts, exitOf)
    return Effect.flatMap(exits, (all) => {
      const failed = all.find(Exit.isFailure)
      return failed === undefined ? Effect.succeed(done()) : failWith(command, tube, failed.cause, done())
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
