/** Shows a server on the whole screen until it is quit. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Client } from "../../BeanstalkClient.ts"
import type { PipeClosed, Stopped } from "../failures.ts"
import type { Style } from "../terminal/style.ts"
import type { FullScreen } from "../terminal/terminal.ts"
import { keysOf } from "./keys.ts"
import { onScreen } from "./list.ts"
import { initial, jobsOf, type Message, type Model, type Request, silence } from "./model.ts"
import { changes } from "./renderer.ts"
import { requests } from "./requests.ts"
import { now, samples, type Wanted } from "./sampling.ts"
import { update } from "./update.ts"
import { view } from "./view/view.ts"

export interface TopOptions {
  /** Takes the whole terminal. */
  readonly fullScreen: Effect.Effect<FullScreen, never, Scope.Scope>
  readonly client: Client
  /** Which tubes are shown at all. */
  readonly matches: (tube: string) => boolean
  /** How often the tubes on screen are read, in milliseconds. */
  readonly pace: number
  readonly style: Style
  /** Says something once the terminal is as it was before. */
  readonly note: (line: string) => Effect.Effect<void>
}

/** The screen is written at most once in this time, whatever happens. */
const frame = "20 millis"

/** An act that is under way at the end is stopped, and it is said how far it came. */
export const top = ({ note, ...options }: TopOptions): Effect.Effect<void, PipeClosed | Stopped> =>
  Effect.flatMap(Ref.make<string | undefined>(undefined), (unseen) =>
    Effect.ensuring(
      Effect.scoped(show(options, unseen)),
      Effect.flatMap(Ref.get(unseen), (text) => text === undefined ? Effect.void : note(text))
    ))

/** Sets `unseen` to what has become of an act, until the screen shows it. */
const show = (
  { client, fullScreen, matches, pace, style }: Omit<TopOptions, "note">,
  unseen: Ref.Ref<string | undefined>
): Effect.Effect<void, PipeClosed | Stopped, Scope.Scope> =>
  Effect.gen(function*() {
    const screen = yield* fullScreen
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
    const tell = (message: Message) =>
      Effect.zipRight(
        message._tag === "ActEnded" ? Ref.set(unseen, message.notice) : Effect.void,
        Effect.asVoid(happened.offer(message))
      )
    yield* Stream.runForEach(messages(screen, client, sampled), tell).pipe(
      // Nobody could press q any more.
      Effect.tapErrorCause((cause) => happened.failCause(cause)),
      Effect.forkScoped
    )
    const carryOut = yield* requests({ client, tell, model, screen, forget: draw.forget })

    const step = Effect.gen(function*() {
      const [arrived] = yield* happened.takeAll
      const at = yield* now
      const asked = yield* SubscriptionRef.modify(model, (before) => {
        let next: Model = { ...before, now: at }
        const asked: Array<Request> = []
        for (const message of arrived) {
          const [after, more] = update(next, message)
          next = after
          asked.push(...more)
        }
        return [asked, next]
      })
      yield* Effect.forEach(asked, carryOut)
      const after = yield* SubscriptionRef.get(model)
      if (Chunk.some(arrived, isSeen(after))) yield* draw.show(after)
      if (after.acting === undefined) yield* Ref.set(unseen, undefined)
      yield* Effect.sleep(frame)
      return after.hasEnded
    })
    yield* draw.show(yield* SubscriptionRef.get(model))
    yield* Effect.repeat(step, { until: (hasEnded) => hasEnded })
  })

const wantedBy = ({ isFrozen, page, pace, tubes }: Model): Wanted => {
  const jobs = jobsOf(page)
  const shown = jobs === undefined ? onScreen(tubes).map(({ name }) => name) : [jobs.tube]
  return { pace, isFrozen, shown, total: tubes.tracked.size }
}

/**
 * Not the numbers of other tubes: the screen need not be written after each batch of them. And a second that is over only where it is told
 * for how long the server has not answered.
 */
const isSeen = (model: Model) => {
  const shown = new Set(wantedBy(model).shown)
  const isAway = model.link.lost !== undefined || silence(model) !== undefined
  return (message: Message): boolean => {
    switch (message._tag) {
      case "Second":
        return isAway
      case "TubesRead":
        return message.tubes.some(({ name }) => shown.has(name))
      default:
        return true
    }
  }
}

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
