/** Says in which tubes jobs that are ready now stay. */
import * as Effect from "effect/Effect"
import type { Client } from "../../BeanstalkClient.ts"
import { some } from "../doctor/finding.ts"
import { Output } from "../terminal/output.ts"
import { timeSpan } from "../terminal/text.ts"
import { watchers } from "./tubes.ts"

/** Says on standard error which of these tubes are paused, and which no worker watches. */
export const tellIdle = (client: Client, tubes: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { note } = yield* Output
    const all = yield* client.statsTubes(tubes)
    const paused = all.filter(({ pause }) => pause > 0)
    const alone = all.filter((tube) => watchers(tube) === 0)
    if (paused.length > 0) {
      const names = some(paused.map(({ name, pauseTimeLeft }) => `${name} for ${timeSpan(pauseTimeLeft)} more`))
      yield* note(`Paused: ${names}. The jobs stay there until then.`)
    }
    if (alone.length > 0) {
      yield* note(`No worker watches ${some(alone.map(({ name }) => name))}. The jobs stay there until one does.`)
    }
  })
