/** The options of a `put`, and the three numbers on its request line that they become. */
import type { DurationInput } from "effect/Duration"
import * as Validate from "./validate.ts"

/**
 * How a job is put.
 *
 * @category models
 * @since 0.1.0
 */
export interface JobOptions {
  /** 0 is the most urgent, 4,294,967,295 the least. Default: 1024, the first that the server does not count as "urgent". */
  readonly priority?: number | undefined
  /**
   * How long the job waits before it becomes ready. Whole seconds, rounded up. A bare number is milliseconds, as everywhere in
   * Effect; below 1000 it is refused, since `60` would be one second. Default: none.
   */
  readonly delay?: DurationInput | undefined
  /**
   * The time to run: how long a worker may hold the job before the server gives it to another. Whole seconds, rounded up. A
   * bare number is milliseconds, as everywhere in Effect; below 1000 it is refused, since `60` would be one second. With less than
   * three seconds, a worker gets only `DeadlineSoon`. Default: 60 seconds.
   */
  readonly ttr?: DurationInput | undefined
}

/**
 * Checked {@link JobOptions}: the numbers of a `put`. The field names differ from those of the options, in which a bare
 * number is milliseconds, so that the compiler refuses one in place of the other.
 */
export interface JobSettings {
  readonly pri: number
  readonly delaySeconds: number
  readonly ttrSeconds: number
}

const defaults: JobSettings = { pri: 1024, delaySeconds: 0, ttrSeconds: 60 }

/** Checks the options of a `put`. Throws `InvalidArgument`. */
export const checkJobOptions = (command: string, options: JobOptions | undefined): JobSettings =>
  options === undefined ? defaults : {
    pri: options.priority === undefined ? defaults.pri : Validate.u32(command, "priority", options.priority),
    delaySeconds: options.delay === undefined ? defaults.delaySeconds : Validate.delay(command, options.delay),
    ttrSeconds: options.ttr === undefined ? defaults.ttrSeconds : Validate.ttr(command, options.ttr)
  }
