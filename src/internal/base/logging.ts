/** How this library logs. */
import * as Effect from "effect/Effect"

/** Annotates the log lines of a module, so that they can be filtered. */
export const annotateLogs = (
  module: "BeanstalkClient" | "BeanstalkCluster" | "BeanstalkConnection" | "Worker",
  attributes: Readonly<Record<string, string>> = {}
) => Effect.annotateLogs({ package: "effect-beanstalk", module, ...attributes })

/** Logs, and ignores what a logger throws: a broken logger must not end a connection, or a worker. */
export const safeLog = (log: Effect.Effect<void>): Effect.Effect<void> => Effect.catchAllCause(log, () => Effect.void)
