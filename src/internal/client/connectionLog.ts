/** Log lines of connections that are lost and opened again. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { ServerInfo } from "../../Stats.ts"
import { safeLog } from "../base/logging.ts"
import type { Ending } from "../connection/pipeline.ts"
import { printable } from "../values/printable.ts"

export interface ConnectionLog {
  readonly connected: (server: ServerInfo, attempt: number) => Effect.Effect<void>
  readonly lost: (ending: Ending, wasIdle: boolean) => Effect.Effect<void>
  /** The next loss is the first of another outage. */
  readonly outageEnded: () => void
  readonly scheduleThrew: (cause: Cause.Cause<never>) => Effect.Effect<void>
}

/**
 * Of each outage only the first loss and the first return are logged above Debug, so that it does not fill the log. An idle
 * connection that comes back at the first attempt is no outage: a proxy that ends one every 30 s would add 5,760 lines a day.
 */
export const make = (address: string): ConnectionLog => {
  let outage: "None" | "Down" | "Back" = "None"
  /** The loss of an idle connection, which is logged once it is known whether it comes back at the first attempt. */
  let idleLoss: string | undefined

  const logLoss = (line: string) => {
    const log = outage === "None" ? Effect.logWarning : Effect.logDebug
    if (outage === "None") outage = "Down"
    return safeLog(log(line))
  }

  /** Logs the loss of an idle connection, if there is one that is not logged yet. */
  const logIdleLoss = (log: (line: string) => Effect.Effect<void>) =>
    Effect.suspend(() => {
      const line = idleLoss
      idleLoss = undefined
      return line === undefined ? Effect.void : log(line)
    })

  return {
    connected: ({ id, version }, attempt) =>
      Effect.zipRight(
        logIdleLoss((line) => safeLog(Effect.logDebug(line))),
        Effect.suspend(() => {
          const log = outage === "Down" ? Effect.logInfo : Effect.logDebug
          if (outage === "Down") outage = "Back"
          return safeLog(log(printable(
            `Connected to beanstalkd ${version} at ${address} (instance ${id}, attempt ${attempt}).`
          )))
        })
      ),
    lost: ({ cause, reason }, wasIdle) =>
      Effect.zipRight(
        logIdleLoss(logLoss),
        Effect.suspend(() => {
          const line = cause instanceof ConnectFailed
            ? reason
            : printable(`The connection to beanstalkd at ${address} is lost: ${reason}.`)
          if (!wasIdle || outage !== "None") return logLoss(line)
          idleLoss = line
          return Effect.void
        })
      ),
    outageEnded: () => {
      outage = "None"
    },
    scheduleThrew: (cause) =>
      safeLog(
        Effect.logError(
          `The reconnect Schedule for beanstalkd at ${address} threw. The client connects again with the next command.`,
          cause
        )
      )
  }
}
