/** `pause` and `resume`: both set for how long a tube gives out no jobs. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { theClient } from "./server/connect.ts"
import { whereIfSeveral } from "./server/servers.ts"
import { matching } from "./server/tubes.ts"
import { Output } from "./terminal/output.ts"
import { counted } from "./terminal/text.ts"
import type { TubePattern } from "./values/tubePattern.ts"

/** Pauses the tubes for this long, and says how many workers wait in each. */
export const pauseAll = (tubes: ReadonlyArray<TubePattern>, duration: Duration.Duration, became: string) =>
  Effect.gen(function*() {
    const output = yield* Output
    const client = yield* theClient
    const where = yield* whereIfSeveral
    for (const tube of yield* matching(client, tubes)) {
      yield* client.pauseTube(tube, duration)
      const { currentWaiting, pause } = yield* client.statsTube(tube)
      yield* output.json
        ? output.records([{ tube, pause, waiting: currentWaiting, ...where.record }])
        : output.lines(
          `${output.printable(tube)}: ${became}${where.text}; ${workersWait(currentWaiting)} for its jobs.`
        )
    }
  })

const workersWait = (count: number) =>
  count === 0 ? "no worker waits" : `${counted(count, "worker")} ${count === 1 ? "waits" : "wait"}`
