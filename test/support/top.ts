/** For tests of `beanstalk top`: statistics of servers and tubes, models that have seen them, and a terminal. */
import type { Stats } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { FullScreen, Size } from "../../src/cli/terminal/terminal.ts"
import type { Key, NamedKey } from "../../src/cli/top/keys.ts"
import { initial, type Message, type Model, type Request } from "../../src/cli/top/model.ts"
import { update } from "../../src/cli/top/update.ts"
import { tubeName } from "./stats.ts"

export const started = (size: Size, pace = 1000): Model => initial({ address: "127.0.0.1:11300", size, now: 0, pace })

/** The model after all of this has happened, and what is to be done. */
export const after = (
  model: Model,
  ...messages: ReadonlyArray<Message>
): { readonly model: Model; readonly requests: ReadonlyArray<Request> } =>
  messages.reduce<{ readonly model: Model; readonly requests: ReadonlyArray<Request> }>(
    (before, message) => {
      const now = "at" in message ? message.at : before.model.now
      const [next, requests] = update({ ...before.model, now }, message)
      return { model: next, requests: [...before.requests, ...requests] }
    },
    { model, requests: [] }
  )

/** A moment later, in which somebody can have read what is on the screen. */
export const later = (model: Model): Model => ({ ...model, now: model.now + 300 })

const pressed = (key: Key): Message => ({ _tag: "Pressed", key })

/** Keys that are pressed: names in angle brackets, as in `<page down>`, and characters. */
export const press = (text: string): ReadonlyArray<Message> =>
  Array.from(text.matchAll(/<([a-z -]+)>|(.)/gsu), ([, name, character]) =>
    name === undefined
      ? pressed({ _tag: "Typed", character: character ?? "" })
      : pressed({ _tag: "Named", name: name as NamedKey }))

/** What was read of the tubes at a time. */
export const read = (at: number, ...tubes: ReadonlyArray<Stats.TubeStats>): Message => ({
  _tag: "TubesRead",
  at,
  tubes
})

export const listed = (at: number, ...names: ReadonlyArray<string>): Message => ({
  _tag: "TubesListed",
  at,
  names: names.map(tubeName)
})

/** Where a line begins, another escape sequence, or a character. */
const written = new RegExp(String.raw`\u001b\[(\d+);1H|\u001b\[([?\d]+[A-Za-z])|(.)`, "gsu")

/** A terminal that shows what is written to it. It knows the escape sequences that `beanstalk top` needs, and no others. */
export class ScreenOfTest {
  private lines: Array<string> = []
  private row = 0
  private size: Size
  /** How many bytes were written. */
  written = 0
  readonly raised: Array<string> = []
  private readonly input = Effect.runSync(Mailbox.make<Uint8Array>())
  private readonly changed = Effect.runSync(Queue.unbounded<void>())

  constructor(size: Size) {
    this.size = size
  }

  readonly fullScreen: FullScreen = {
    size: () => this.size,
    input: Stream.suspend(() => Mailbox.toStream(this.input)),
    changes: Stream.suspend(() => Stream.fromQueue(this.changed)),
    write: (text) => Effect.sync(() => this.show(text)),
    raise: (signal) => Effect.sync(() => void this.raised.push(signal))
  }

  /** What the keys send. */
  type(text: string): Effect.Effect<void> {
    return Effect.asVoid(this.input.offer(new TextEncoder().encode(text)))
  }

  /** The terminal is closed. */
  get close(): Effect.Effect<void> {
    return Effect.asVoid(this.input.end)
  }

  resize(size: Size): Effect.Effect<void> {
    this.size = size
    return Effect.asVoid(Queue.offer(this.changed, undefined))
  }

  get text(): string {
    return this.lines.map((line) => line.trimEnd()).join("\n")
  }

  private show(text: string) {
    this.written += text.length
    for (const [, at, sequence, character] of text.matchAll(written)) {
      if (at !== undefined) this.row = Number(at) - 1
      else if (sequence === "2J") this.lines = Array.from({ length: this.size.rows }, () => "")
      else if (sequence === "2K") this.lines[this.row] = ""
      else if (character !== undefined) this.put(character)
      else if (!/^\?2026[hl]$|m$/.test(sequence ?? "")) throw new Error(`${sequence} is unknown to this terminal`)
    }
  }

  private put(character: string) {
    if (/\p{Cc}/u.test(character)) throw new Error(`${JSON.stringify(character)} was written`)
    const line = this.lines[this.row]
    if (line === undefined) throw new Error(`there is no line ${this.row}`)
    this.lines[this.row] = line + character
  }
}
