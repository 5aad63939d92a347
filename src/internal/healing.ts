/** Sessions opened one after the other, as they are wanted and lost, by one fiber that sleeps between its attempts. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { ConnectFailed } from "../BeanstalkError.ts"
import { Connector } from "../Connector.ts"
import type { ServerInfo } from "../Stats.ts"
import type { Current } from "./current.ts"
import { open, type Settings } from "./opening.ts"
import type { Ending } from "./pipeline.ts"

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

export interface HealingOptions extends Settings {
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
      return open(settings, onEnd).pipe(
        Effect.tap((opened) => {
          if (over) return Effect.void
          current.begin(opened)
          return Effect.zipRight(
            become(state, State.Connected({ server: opened.server })),
            tidings.connected(opened.server, attempt)
          )
        }),
        Effect.flatMap((opened) => opened.ended),
        Effect.scoped,
        // Whatever a connector throws, or interrupts, is only another reason to try again.
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

    /** Tries until the schedule is done, beginning it anew with every session that was lost. */
    const persist = Effect.gen(function*() {
      const schedule = yield* Schedule.driver(reconnect)
      let attempt = 0
      let lost: Lost
      do {
        attempt += 1
        yield* become(state, State.Connecting({ attempt }))
        lost = yield* serve(attempt)
        yield* become(state, lost)
        if (!(lost.cause instanceof ConnectFailed)) {
          attempt = 0
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

/** What the log is told. Only the first loss is news: a server that is away for the night must not fill it. */
const tidingsOf = (address: string) => {
  /** Whether a loss has been told and its end has not. */
  let down = false
  return {
    lost: ({ cause, reason }: Lost) =>
      Effect.suspend(() => {
        const log = down ? Effect.logDebug : Effect.logWarning
        down = true
        return tell(
          log(
            cause instanceof ConnectFailed ? reason : `The connection to beanstalkd at ${address} is lost: ${reason}.`
          )
        )
      }),
    connected: ({ id, version }: ServerInfo, attempt: number) =>
      Effect.suspend(() => {
        const log = down ? Effect.logInfo : Effect.logDebug
        down = false
        return tell(log(`Connected to beanstalkd ${version} at ${address} (instance ${id}, attempt ${attempt}).`))
      }),
    thrown: (cause: Cause.Cause<never>) =>
      tell(Effect.logError(`The schedule of when to reconnect to beanstalkd at ${address} threw: it is done`, cause))
  }
}

/** A logger that throws is no reason to lose a connection. */
const tell = (log: Effect.Effect<void>) => Effect.catchAllCause(log, () => Effect.void)

const toConnectFailed = (cause: Cause.Cause<ConnectFailed>, address: string): ConnectFailed => {
  const error = Cause.squash(cause)
  return error instanceof ConnectFailed
    ? error
    : new ConnectFailed({ address, reason: "Unreachable", detail: String(error), cause: error })
}
