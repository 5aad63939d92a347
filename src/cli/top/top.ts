/** Shows a server on the whole screen until it is quit. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Client } from "../../BeanstalkClient.ts"
import type { PipeClosed, Stopped } from "../failures.ts"
import type { Style } from "../terminal/style.ts"
import type { FullScreen } from "../terminal/terminal.ts"
import { keysOf } from "./keys.ts"
import { initial, type Message, type Model, type Request } from "./model.ts"
import { changes } from "./renderer.ts"
import { now, samples, type Wanted } from "./sampling.ts"
import { onScreen } from "./tubeTable.ts"
import { update } from "./update.ts"
import { view } from "./view/view.ts"

export interface TopOptions {
  readonly screen: FullScreen
  readonly client: Client
  /** Which tubes are shown at all. */
  readonly matches: (tube: string) => boolean
  /** How often the tubes on screen are read, in milliseconds. */
  readonly pace: number
  readonly style: Style
}

/** The screen is written at most once in this time, whatever happens. */
const frame = "20 millis"

export const top = (
  { client, matches, pace, screen, style }: TopOptions
): Effect.Effect<void, PipeClosed | Stopped> =>
  Effect.gen(function*() {
    const start = { address: client.address, size: screen.size(), now: yield* now, pace }
    const model = yield* SubscriptionRef.make(initial(start))
    const happened = yield* Mailbox.make<Message>()
    const draw = yield* drawer(screen, style)

    const sampled = samples({
      client,
      matches,
      wanted: Effect.map(SubscriptionRef.get(model), wantedBy),
      changes: Stream.map(model.changes, wantedBy)
    })
    yield* messages(screen, client, sampled).pipe(
      Stream.runForEach((message) => happened.offer(message)),
      Effect.forkScoped
    )

    const step = Effect.gen(function*() {
      const [arrived] = yield* happened.takeAll
      const at = yield* now
      const requests = yield* SubscriptionRef.modify(model, (before) => {
        let next: Model = { ...before, now: at }
        const requests: Array<Request> = []
        for (const message of arrived) {
          const [after, asked] = update(next, message)
          next = after
          requests.push(...asked)
        }
        return [requests, next]
      })
      yield* Effect.forEach(requests, (request) => carryOut(request, screen, draw))
      const after = yield* SubscriptionRef.get(model)
      yield* draw.show(after)
      yield* Effect.sleep(frame)
      return after.hasEnded
    })
    yield* draw.show(yield* SubscriptionRef.get(model))
    yield* Effect.repeat(step, { until: (hasEnded) => hasEnded })
  }).pipe(Effect.scoped)

const wantedBy = ({ isFrozen, pace, tubes }: Model): Wanted => ({
  pace,
  isFrozen,
  shown: onScreen(tubes).map(({ name }) => name)
})

/** Everything that happens. */
const messages = (screen: FullScreen, client: Client, sampled: Stream.Stream<Message>): Stream.Stream<Message> =>
  Stream.mergeAll<Message, never, never>([
    sampled,
    Stream.concat(
      Stream.map(keysOf(screen.input), (key): Message => ({ _tag: "Pressed", key })),
      Stream.make<[Message]>({ _tag: "InputEnded" })
    ),
    Stream.map(screen.changes, (): Message => ({ _tag: "Resized", size: screen.size() })),
    Stream.map(client.changes, (state): Message => ({ _tag: "ConnectionChanged", state })),
    // So that it is seen for how long a server has not answered.
    Stream.repeatEffectWithSchedule(Effect.succeed<Message>({ _tag: "Second" }), Schedule.spaced("1 second"))
  ], { concurrency: "unbounded" })

interface Drawer {
  readonly show: (model: Model) => Effect.Effect<void, PipeClosed | Stopped>
  /** The next time, everything is written. */
  readonly forget: Effect.Effect<void>
}

const drawer = (screen: FullScreen, style: Style): Effect.Effect<Drawer> =>
  Effect.map(Ref.make<ReadonlyArray<string> | undefined>(undefined), (shown) => ({
    forget: Ref.set(shown, undefined),
    show: (model) =>
      Effect.suspend(() => {
        const lines = view(model, style)
        return Effect.flatMap(Ref.getAndSet(shown, lines), (before) => {
          const text = changes(before, lines)
          return text === "" ? Effect.void : screen.write(text)
        })
      })
  }))

const carryOut = (request: Request, screen: FullScreen, draw: Drawer): Effect.Effect<void> =>
  request._tag === "Raise" ? screen.raise(request.signal) : draw.forget
