/** What the log is told of a connection that comes and goes. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { ServerInfo } from "../../Stats.ts"
import type { Ending } from "../connection/pipeline.ts"

/** Of an outage only the first loss and the first return are news: it must not fill the log. */
export const tidingsOf = (address: string) => {
  let outage: "None" | "Down" | "Back" = "None"
  return {
    outageOver: (): void => {
      outage = "None"
    },
    lost: ({ cause, reason }: Ending) =>
      Effect.suspend(() => {
        const log = outage === "None" ? Effect.logWarning : Effect.logDebug
        if (outage === "None") outage = "Down"
        return tell(
          log(
            cause instanceof ConnectFailed ? reason : `The connection to beanstalkd at ${address} is lost: ${reason}.`
          )
        )
      }),
    connected: ({ id, version }: ServerInfo, attempt: number) =>
      Effect.suspend(() => {
        const log = outage === "Down" ? Effect.logInfo : Effect.logDebug
        if (outage === "Down") outage = "Back"
        return tell(log(`Connected to beanstalkd ${version} at ${address} (instance ${id}, attempt ${attempt}).`))
      }),
    thrown: (cause: Cause.Cause<never>) =>
      tell(Effect.logError(`The schedule of when to reconnect to beanstalkd at ${address} threw: it is done`, cause))
  }
}

/** A logger that throws is no reason to lose a connection. */
export const tell = (log: Effect.Effect<void>) => Effect.catchAllCause(log, () => Effect.void)
