/** Does what the model asks for. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { TubeName } from "../../Job.ts"
import type { FullScreen } from "../terminal/terminal.ts"
import type { ActOnJobs } from "./act.ts"
import { carryOut } from "./carryOut.ts"
import { wantsMore } from "./jobList.ts"
import { jobsOf, type Model, type Request } from "./model.ts"
import { type Reader, readJob, search } from "./reading.ts"

export interface RequestOptions extends Reader {
  readonly model: SubscriptionRef.SubscriptionRef<Model>
  readonly screen: FullScreen
  /** Forgets what is on the screen, so that all of it is written again. */
  readonly forget: Effect.Effect<void>
}

/** A search, a job that is read and an act go on beside the screen, one of each. */
export const requests = (
  { client, forget, model, screen, tell }: RequestOptions
): Effect.Effect<(request: Request) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const searching = yield* FiberHandle.make()
    const reading = yield* FiberHandle.make()
    const acting = yield* FiberHandle.make()
    const pace = Effect.map(SubscriptionRef.get(model), ({ pace }) => Duration.millis(Math.max(1000, pace)))
    const isWanted = (number: number) => (found: number) =>
      model.changes.pipe(
        Stream.filter(({ page }) => {
          const jobs = jobsOf(page)
          return jobs?.search === number && jobs.received >= found && wantsMore(jobs)
        }),
        Stream.take(1),
        Stream.runDrain
      )
    const start = (handle: FiberHandle.FiberHandle, effect: Effect.Effect<void>) =>
      Effect.asVoid(FiberHandle.run(handle, effect))
    // An act ends at the next answer of the server: keys are not to wait for that.
    const stop = (handle: FiberHandle.FiberHandle) => Effect.asVoid(Effect.fork(FiberHandle.clear(handle)))

    return (request) => {
      switch (request._tag) {
        case "Raise":
          return screen.raise(request.signal)
        case "Redraw":
          return forget
        case "Search":
          return start(
            searching,
            search({ client, tell }, { jobs: request.jobs, isWanted: isWanted(request.jobs.search) })
          )
        case "StopSearch":
          return stop(searching)
        case "ReadJob":
          return start(reading, readJob({ client, tell }, request.id, pace))
        case "StopReading":
          return stop(reading)
        case "Count":
          return start(acting, count({ client, tell }, request))
        case "Act":
          return start(acting, carryOut({ client, tell }, request.act))
        case "StopActing":
          return stop(acting)
      }
    }
  })

const count = (
  { client, tell }: Reader,
  { act, tubes }: { readonly act: ActOnJobs; readonly tubes: ReadonlyArray<TubeName> }
) =>
  Effect.matchEffect(client.statsTubes(tubes), {
    onSuccess: (stats) => tell({ _tag: "Counted", act, stats }),
    onFailure: ({ message }) => tell({ _tag: "Told", notice: message })
  })
