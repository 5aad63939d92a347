/**
 * Whether the server has room for the jobs that are released and buried.
 *
 * A beanstalkd without room in its binlog answers a release or bury with an error, and then keeps the job where no command finds
 * it until it is restarted. A worker takes no more jobs then, until a probe shows that the server has room again. A server in drain
 * mode stores no probe, whether it has room or not, and is to be worked empty: after a pause the worker takes jobs from it.
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

type Pause = (error: Error) => Effect.Effect<void>

export class ServerRoom {
  isFull = false
  /** The pauses between probes, ever longer until the server has stored one: it may be full again at once. */
  private pause: Pause | undefined = undefined
  /** Whether it has answered a probe with DRAINING since then. */
  private isDrained = false
  private readonly hasRoom = Effect.unsafeMakeLatch(true)
  private readonly dedicated: Dedicated
  private readonly tube: TubeName

  constructor(dedicated: Dedicated, tube: TubeName) {
    this.dedicated = dedicated
    this.tube = tube
  }

  /** Succeeds once the server is taken to have room, or is not probed any more. */
  get whenAvailable(): Effect.Effect<void> {
    return this.hasRoom.await
  }

  /**
   * Takes the server to be full until it stores a job, or answers that it is drained. It is asked at once, and then under the
   * reconnect Schedule.
   */
  readonly probe: Effect.Effect<void> = Effect.suspend(() => {
    this.isFull = true
    this.hasRoom.unsafeClose()
    return Effect.ensuring(
      Effect.flatMap(this.pauses, (pause) => this.untilAnswered(pause)),
      Effect.sync(() => this.giveUp())
    )
  })

  /** What waits for room goes on. */
  giveUp(): void {
    this.isFull = false
    this.hasRoom.unsafeOpen()
  }

  private get pauses(): Effect.Effect<Pause> {
    return Effect.suspend(() =>
      this.pause === undefined
        ? Effect.tap(pauses(this.dedicated.reconnect), (pause) => Effect.sync(() => this.pause = pause))
        : Effect.succeed(this.pause)
    )
  }

  private untilAnswered(pause: Pause): Effect.Effect<void> {
    return Effect.matchEffect(this.store, {
      onSuccess: () => this.onStored,
      onFailure: (error) => {
        // The client is closed: that of a server that has left a cluster, while the worker goes on.
        if (error._tag === "ConnectFailed" && error.reason === "Closed") return Effect.void
        return Effect.zipRight(pause(error), error._tag === "Draining" ? this.onDrained : this.untilAnswered(pause))
      }
    })
  }

  private get store() {
    return Effect.scoped(Effect.flatMap(this.dedicated.open(this.tube), ({ send }) => {
      const remove = (id: JobId) => Effect.ignore(send(Commands.deleteJob(id)))
      return send(probeJob).pipe(
        // Out of memory, the server stores the job, but as a buried one.
        Effect.tapErrorTag("Buried", ({ id }) => remove(id)),
        Effect.flatMap(remove)
      )
    }))
  }

  private get onStored(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.pause = undefined
      this.isDrained = false
      return safeLog(Effect.logInfo(this.lineAbout("stores jobs again")))
    })
  }

  private get onDrained(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const log = this.isDrained ? Effect.logDebug : Effect.logInfo
      this.isDrained = true
      return safeLog(log(this.lineAbout("is in drain mode, and does not tell whether it has room")))
    })
  }

  private lineAbout(what: string): string {
    return `beanstalkd at ${this.dedicated.address} ${what}. The worker of tube ${this.tube} takes jobs.`
  }
}
