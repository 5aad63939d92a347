/** Log lines of connections that are lost and opened again. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { ServerInfo } from "../../Stats.ts"
import { safeLog } from "../base/safeLog.ts"
import type { Ending } from "../connection/pipeline.ts"

export interface ConnectionLog {
  readonly connected: (server: ServerInfo, attempt: number) => Effect.Effect<void>
  readonly lost: (ending: Ending) => Effect.Effect<void>
  /** The next loss is the first of another outage. */
  readonly outageEnded: () => void
  readonly scheduleThrew: (cause: Cause.Cause<never>) => Effect.Effect<void>
}

/** Of each outage only the first loss and the first return are logged above Debug, so that it does not fill the log. */
export const make = (address: string): ConnectionLog => {
  let outage: "None" | "Down" | "Back" = "None"
  return {
    connected: ({ id, version }, attempt) =>
      Effect.suspend(() => {
        const log = outage === "Down" ? Effect.logInfo : Effect.logDebug
        if (outage === "Down") outage = "Back"
        return safeLog(log(`Connected to beanstalkd ${version} at ${address} (instance ${id}, attempt ${attempt}).`))
      }),
    lost: ({ cause, reason }) =>
      Effect.suspend(() => {
        const log = outage === "None" ? Effect.logWarning : Effect.logDebug
        if (outage === "None") outage = "Down"
        return safeLog(
          log(
            cause instanceof ConnectFailed ? reason : `The connection to beanstalkd at ${address} is lost: ${reason}.`
          )
        )
      }),
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
