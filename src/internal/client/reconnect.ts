/** Sessions opened one after the other, as they are wanted and lost, by one fiber that sleeps between its attempts. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { ConnectFailed } from "../../BeanstalkError.ts"
import { Connector } from "../../Connector.ts"
import type { ServerInfo } from "../../Stats.ts"
import { connect, type ConnectSettings, type ServerSession } from "../connection/connect.ts"
import type { Ending } from "../connection/pipeline.ts"
import { tidingsOf } from "./connectionLog.ts"
import type { Current } from "./current.ts"

/** What is being done. */
export type State = Data.TaggedEnum<{
  Idle: {}
  Connecting: { readonly attempt: number }
  Connected: { readonly server: ServerInfo }
  Lost: Ending
  Closed: {}
}>

export const State = Data.taggedEnum<State>()

export type Lost = Data.TaggedEnum.Value<State, "Lost">

export interface HealingOptions extends ConnectSettings {
  readonly reconnect: Schedule.Schedule<unknown, Lost>
}

export interface Healing {
  readonly current: Current
  readonly state: SubscriptionRef.SubscriptionRef<State>
}

/** Closed is the last word, whoever is still about to say something. */
export const become = (state: Healing["state"], to: State): Effect.Effect<void> =>
  SubscriptionRef.update(state, (was) => was._tag === "Closed" ? was : to)

/** Opens a session when one is wanted, and another when it is lost, until the schedule is done; then waits to be wanted. */
export const heal = Effect.fnUntraced(
  function*({ current, state }: Healing, { reconnect, ...settings }: HealingOptions) {
    const { address } = yield* Connector
    const tidings = tidingsOf(address)

    /** Opens a session and stays with it until it is lost. */
    const serve = (attempt: number): Effect.Effect<Lost, never, Connector> => {
      // It may be over as soon as it has begun.
      let over = false
      const onEnd = () => {
        over = true
        current.end()
      }
      return connect(settings, onEnd).pipe(
        Effect.tap((opened) => {
          if (over) return Effect.void
          current.begin(opened)
          return Effect.zipRight(
            become(state, State.Connected({ server: opened.server })),
            tidings.connected(opened.server, attempt)
          )
        }),
        Effect.flatMap(untilLost),
        Effect.scoped,
        Effect.matchCause({
          onSuccess: State.Lost,
          onFailure: (cause) => {
            const failure = toConnectFailed(cause, address)
            current.fail(failure)
            return State.Lost({ reason: failure.message, cause: failure })
          }
        })
      )
    }

    /** Whether the latest session was. */
    let wasHealthy = false

    const untilLost = ({ ended, replyCount }: ServerSession) =>
      Effect.gen(function*() {
        const handshakeReplies = replyCount()
        const since = yield* Clock.currentTimeMillis
        const ending = yield* ended
        wasHealthy = isHealthy(replyCount() - handshakeReplies, (yield* Clock.currentTimeMillis) - since)
        return ending
      })

    /** Tries until the schedule is done, beginning it anew behind every session that was of use. */
    const persist = Effect.gen(function*() {
      const schedule = yield* Schedule.driver(reconnect)
      let attempt = 0
      let lost: Lost
      do {
        attempt += 1
        wasHealthy = false
        yield* become(state, State.Connecting({ attempt }))
        lost = yield* serve(attempt)
        yield* become(state, lost)
        if (wasHealthy) {
          attempt = 0
          tidings.outageOver()
          yield* schedule.reset
        }
        yield* tidings.lost(lost)
        // Before the first attempt too: clients do not all meet a server at once that is back.
      } while (yield* Effect.isSuccess(schedule.next(lost)))
    })

    const rest = Effect.suspend(() => {
      current.rest()
      return become(state, State.Idle())
    })

    return yield* current.wanted.await.pipe(
      Effect.zipRight(persist),
      Effect.catchAllCause(tidings.thrown),
      Effect.zipRight(rest),
      Effect.forever
    )
  }
)

/** Whatever a connector throws, or interrupts, is only another reason to try again. */
export const toConnectFailed = (cause: Cause.Cause<ConnectFailed>, address: string): ConnectFailed => {
  const error = Cause.squash(cause)
  return error instanceof ConnectFailed
    ? error
    : new ConnectFailed({ address, reason: "Unreachable", detail: String(error), cause: error })
}

/**
 * Whether a session was of use that gave so many answers and lived for so many milliseconds: a server that welcomes and hangs
 * up, again and again, is away all the same.
 */
export const isHealthy = (answers: number, lived: number): boolean => answers > 0 || lived >= 5000
