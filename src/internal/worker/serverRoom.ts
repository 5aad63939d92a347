/**
 * Whether the server has room for the jobs that are released and buried.
 *
 * A beanstalkd without room in its binlog answers a release or bury with an error, and then keeps the job where no command finds
 * it until it is restarted. A worker takes no more jobs then, until a probe shows that the server has room again.
 */
import * as Effect from "effect/Effect"
import type { JobId, TubeName } from "../../Job.ts"
import { safeLog } from "../base/logging.ts"
import type { Dedicated } from "../client/dedicated.ts"
import { pauses } from "../client/reconnect.ts"
import * as Commands from "../protocol/commands.ts"
import * as Validate from "../protocol/validate.ts"
import type { Refusal } from "./events.ts"

/** Whether a server that has answered this may keep the job where no command finds it. */
export const mayHideJob = ({ _tag, command }: Refusal): boolean =>
  (command === "release" || command === "bury") && (_tag === "OutOfMemory" || _tag === "InternalError")

/** The tube of the jobs that probe whether the server has room. Nobody should watch it. */
export const probeTube = Validate.tubeName("put", "effect-beanstalk.probe")

/** A job that is never ready: it is deleted at once, but the connection may be lost before that. */
const probeJob = Commands.put(
  new Uint8Array(0),
  { pri: 2 ** 32 - 1, delaySeconds: 2 ** 32 - 1, ttrSeconds: 1 },
  probeTube
)

export class ServerRoom {
  isFull = false
  private readonly hasRoom = Effect.unsafeMakeLatch(true)
  private readonly dedicated: Dedicated
  private readonly tube: TubeName

  constructor(dedicated: Dedicated, tube: TubeName) {
    this.dedicated = dedicated
    this.tube = tube
  }

  /** Succeeds once the server is taken to have room. */
  get whenAvailable(): Effect.Effect<void> {
    return this.hasRoom.await
  }

  /** Takes the server to be full until it stores a job. It is asked at once, and then under the reconnect Schedule. */
  readonly probe: Effect.Effect<void> = Effect.suspend(() => {
    this.isFull = true
    this.hasRoom.unsafeClose()
    return Effect.zipRight(this.untilStored, this.onStored)
  })

  private get untilStored(): Effect.Effect<void> {
    const { open, reconnect } = this.dedicated
    const store = Effect.scoped(Effect.flatMap(open(this.tube), ({ send }) => {
      const remove = (id: JobId) => Effect.ignore(send(Commands.deleteJob(id)))
      return send(probeJob).pipe(
        // Out of memory, the server stores the job, but as a buried one.
        Effect.tapErrorTag("Buried", ({ id }) => remove(id)),
        Effect.flatMap(remove)
      )
    }))
    return Effect.flatMap(pauses(reconnect), (pause) => {
      const again: Effect.Effect<void> = Effect.catchAll(store, (error) => Effect.zipRight(pause(error), again))
      return again
    })
  }

  private get onStored(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isFull = false
      this.hasRoom.unsafeOpen()
      const { address } = this.dedicated
      return safeLog(
        Effect.logInfo(`beanstalkd at ${address} stores jobs again. The worker of tube ${this.tube} takes jobs.`)
      )
    })
  }
}
