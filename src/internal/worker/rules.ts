/** What a worker may be told, checked. */
import * as Duration from "effect/Duration"
import { InvalidArgument } from "../../BeanstalkError.ts"
import * as Protocol from "../../BeanstalkProtocol.ts"
import * as Argument from "../argument.ts"
import { certain } from "../batch.ts"

/** The numbers and times of a worker. */
export interface Numbers {
  readonly concurrency?: number | undefined
  readonly timeout?: Duration.DurationInput | undefined
  readonly heartbeat?: boolean | undefined
  readonly maxDisconnects?: number | undefined
  readonly reserveSlice?: Duration.DurationInput | undefined
  readonly idleLaneTimeout?: Duration.DurationInput | undefined
  readonly shutdownTimeout?: Duration.DurationInput | undefined
}

/** What a job of the tube has if its `put` does not say otherwise. */
const defaultTtr = Duration.seconds(60)

/** Throws `InvalidArgument`, as all that checks arguments. */
export const check = (numbers: Numbers, ttr: Duration.DurationInput = defaultTtr) => {
  const { concurrency = 1, heartbeat = true, maxDisconnects } = numbers
  const seconds = Argument.timeToRun("work", ttr)
  const least = heartbeat ? 3 : 2
  if (seconds < least) {
    refuse(
      "the tube's ttr",
      `must be at least ${least} seconds${heartbeat ? " to be touched in time" : ""}, but is ${seconds}`
    )
  }
  const timeout = patience("timeout", numbers.timeout) ?? Number.POSITIVE_INFINITY
  if (!heartbeat && timeout !== Number.POSITIVE_INFINITY && timeout > (seconds - 1) * 1000) {
    refuse(
      "timeout",
      `cannot be reached: without heartbeat a handler is interrupted after ${
        seconds - 1
      } seconds, one less than the tube's ttr`
    )
  }
  const slice = patience("reserveSlice", numbers.reserveSlice) ?? 30_000
  const idleLaneTimeout = patience("idleLaneTimeout", numbers.idleLaneTimeout) ?? 30_000
  const shutdownTimeout = numbers.shutdownTimeout ?? "25 seconds"
  return {
    concurrency: Argument.positive("work", "concurrency", concurrency),
    rules: { heartbeat, timeout },
    maxDisconnects: maxDisconnects === undefined
      ? undefined
      : Argument.positive("work", "maxDisconnects", maxDisconnects),
    slices: slices(slice),
    spareSlices: slices(Math.min(slice, idleLaneTimeout)),
    idleLaneTimeout,
    shutdownTimeout: Argument.span("work", "shutdownTimeout", shutdownTimeout)
  }
}

const refuse = (argument: string, reason: string): never => {
  throw new InvalidArgument({ command: "work", argument, reason })
}

const patience = (argument: string, value: Duration.DurationInput | undefined): number | undefined =>
  value === undefined ? undefined : Argument.patience("work", argument, value)

/** A tenth more or less, so that workers that were started together do not ask together for ever. */
const slices = (milliseconds: number) =>
  [1, 0.9, 1.05, 0.95, 1.1].map((part) => certain(Protocol.reserveWithTimeout(Duration.millis(milliseconds * part))))
