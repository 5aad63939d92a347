/** `purge` and `move`: all jobs of a tube are dealt with on a connection of its own, and what came of it is told. */
import * as Effect from "effect/Effect"
import { BulkStopped, InvalidArgument } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import { checkOptions, connect, type ConnectOptions } from "../connection/connect.ts"
import type { Session } from "../connection/session.ts"
import * as Validate from "../protocol/validate.ts"
import { moving, purging } from "./move.ts"
import { type Deed, type JobState, type Tally, tidy } from "./scan.ts"

export interface BulkOptions {
  /** Which jobs. Default: all of them, `["ready", "delayed", "buried"]`, in the order given. */
  readonly states?: ReadonlyArray<JobState> | undefined
  /** How many jobs at most. Default: until there is none left, which a busy producer can make take for ever. */
  readonly bound?: number | undefined
  /** Runs after every batch, with what has been done so far. */
  readonly onProgress?: ((done: Readonly<Tally>) => Effect.Effect<void>) | undefined
}

/** What is to be done, and how to get there. */
interface Bulk extends BulkOptions {
  readonly opening: ConnectOptions
  readonly tube: string
}

export const purge = (bulk: Bulk) => work("purge", bulk, purging)

export const move = (to: string, bulk: Bulk) => {
  const target = Validate.attempt(() => Validate.otherTube("move", to, { than: bulk.tube }))
  return target instanceof InvalidArgument
    ? target
    : work("move", bulk, (line, tally) => moving(line, target, tally))
}

const work = (
  command: "purge" | "move",
  { bound, onProgress = () => Effect.void, opening, states = ["ready", "delayed", "buried"], tube }: Bulk,
  deedOf: (line: Session, tally: Tally) => Deed
) =>
  Effect.gen(function*() {
    const checked = Validate.attempt(() => ({
      tube: Validate.tubeName(command, tube),
      bound: bound === undefined ? Number.POSITIVE_INFINITY : Validate.u32(command, "bound", bound),
      settings: checkOptions({ ...opening, watch: [tube] })
    }))
    if (checked instanceof InvalidArgument) return yield* checked
    const { address } = yield* Connector
    const tally = { ready: 0, delayed: 0, buried: 0 }
    const line = yield* connect(checked.settings)
    yield* tidy({
      ...checked,
      line,
      states,
      deed: deedOf(line, tally),
      tally,
      onProgress: Effect.suspend(() => onProgress({ ...tally }))
    }).pipe(
      Effect.mapError((cause) => new BulkStopped({ command, address, tube: checked.tube, done: { ...tally }, cause })),
      Effect.onInterrupt(() =>
        Effect.logInfo(
          `${command} in tube ${tube} of beanstalkd at ${address} was interrupted ` +
            `after ${tally.ready} ready, ${tally.delayed} delayed and ${tally.buried} buried jobs`
        )
      )
    )
    return tally
  }).pipe(Effect.scoped)
