import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import type { PendingCommand } from "../../src/internal/connection/pendingCommand.ts"
import { batchOf } from "../../src/internal/protocol/command.ts"
import { describeExit, peek, PipelineHarness, put, touch, use } from "../support/pipelineHarness.ts"
import { chars, valid } from "../support/replies.ts"

/** A body that contains the mark of its command, and looks like replies. */
const markedBody = (mark: number): string => `TOUCHED\r\n${mark}\r\n`

/** A server whose reply to each command contains the mark of that command. */
class Server {
  /** What it has sent, and how much of that was delivered. */
  private output = ""
  private delivered = 0
  /** Where each reply ends in the output. */
  private readonly ends: Array<number> = []
  private tube = "default"
  /** The marks of the commands that arrived, and the tubes they acted on. */
  readonly acted: Array<readonly [mark: number, tube: string]> = []

  take(requests: string): void {
    let rest = requests
    while (rest !== "") {
      const end = rest.indexOf("\r\n")
      const [command, argument = "", , , size] = rest.slice(0, end).split(" ")
      rest = rest.slice(end + 2)
      switch (command) {
        case "use":
          this.tube = argument
          this.reply(`USING ${argument}`)
          break
        case "put": {
          const body = rest.slice(0, Number(size))
          assert.strictEqual(rest.slice(Number(size), Number(size) + 2), "\r\n")
          rest = rest.slice(Number(size) + 2)
          this.act(Number(/\d+/.exec(body)?.[0]), (mark) => `INSERTED ${mark}`)
          break
        }
        case "kick":
          this.act(Number(argument), (mark) => `KICKED ${mark}`)
          break
        case "peek":
          this.act(Number(argument), (mark) => `FOUND ${mark} ${markedBody(mark).length}\r\n${markedBody(mark)}`)
          break
        case "touch":
          this.act(Number(argument), () => "NOT_FOUND")
          break
        default:
          assert.fail(`${command} was not sent`)
      }
    }
  }

  /** The next bytes of the output. */
  deliver(count: number): string {
    const next = this.output.slice(this.delivered, this.delivered + count)
    this.delivered += next.length
    return next
  }

  get unanswered(): number {
    return this.ends.filter((end) => end > this.delivered).length
  }

  get isDrained(): boolean {
    return this.delivered === this.output.length
  }

  private act(mark: number, replyOf: (mark: number) => string): void {
    this.acted.push([mark, this.tube])
    this.reply(replyOf(mark))
  }

  private reply(reply: string): void {
    this.output += `${reply}\r\n`
    this.ends.push(this.output.length)
  }
}

type Kind = "put" | "kick" | "peek" | "touch" | "use"

type Step =
  | { readonly step: "send"; readonly kind: Kind; readonly tube: string | undefined }
  | { readonly step: "batch"; readonly kind: "peek" | "touch"; readonly count: number }
  | { readonly step: "cancel"; readonly which: number }
  | { readonly step: "write" }
  | { readonly step: "receive"; readonly bytes: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constant<"send">("send"),
      kind: fc.constantFrom<Kind>("put", "kick", "peek", "touch", "use"),
      tube: fc.constantFrom(undefined, "default", "a", "b")
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant<"batch">("batch"),
      kind: fc.constantFrom<"peek" | "touch">("peek", "touch"),
      count: fc.integer({ min: 1, max: 6 })
    })
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant<"cancel">("cancel"), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant<"write">("write") }) },
  {
    weight: 3,
    arbitrary: fc.record({ step: fc.constant<"receive">("receive"), bytes: fc.integer({ min: 1, max: 60 }) })
  }
)

interface Sent {
  readonly mark: number
  readonly entry: PendingCommand
  /** The tube it names, or selects. */
  readonly tube: string | undefined
  readonly selects: boolean
  readonly isOfBatch: boolean
  /** The result that it must have when it is answered. */
  readonly answer: string
  readonly results: Array<string>
  cancelled: boolean
}

/** A pipeline, a server, and the result that each command must have. */
class Model {
  readonly harness: PipelineHarness
  readonly server = new Server()
  readonly sent: Array<Sent> = []
  private queue: Array<Sent> = []
  private tubeInUse = "default"
  private checked = 0
  private readonly maxInFlight: number

  constructor(maxInFlight: number, maxQueuedBytes: number) {
    this.maxInFlight = maxInFlight
    this.harness = new PipelineHarness({ maxInFlight, maxQueuedBytes })
  }

  perform(step: Step): void {
    switch (step.step) {
      case "send":
        return this.send(step.kind, step.tube)
      case "batch": {
        const marks = Array.from({ length: step.count }, (_, index) => this.sent.length + index)
        return step.kind === "peek"
          ? this.submitAll(marks.map((mark) => [peek(`${mark}`), `job ${mark}: ${markedBody(mark)}`]))
          : this.submitAll(marks.map((mark) => [touch(`${mark}`), `JobNotFound ${mark}`]))
      }
      case "cancel": {
        const sent = this.sent[step.which % Math.max(1, this.sent.length)]
        return sent === undefined ? undefined : this.cancel(sent)
      }
      case "write":
        return this.write()
      case "receive": {
        const next = this.server.deliver(step.bytes)
        return next === "" ? undefined : this.harness.receive(next)
      }
    }
  }

  private send(kind: Kind, tube: string | undefined): void {
    const mark = this.sent.length
    switch (kind) {
      case "put":
        return this.submit(put(`${mark}\r\ntouch 1\r\n`, tube), mark, tube, `${mark}`)
      case "kick":
        return this.submit(valid(Protocol.kick(mark, { tube })), mark, tube, `${mark}`)
      case "peek":
        return this.submit(peek(`${mark}`), mark, undefined, `job ${mark}: ${markedBody(mark)}`)
      case "touch":
        return this.submit(touch(`${mark}`), mark, undefined, `JobNotFound ${mark}`)
      case "use":
        return this.submit(use(tube ?? "c"), mark, tube ?? "c", tube ?? "c")
    }
  }

  private submit<A, E>(command: Protocol.Command<A, E>, mark: number, tube: string | undefined, answer: string): void {
    const results: Array<string> = []
    const entry = this.harness.pipeline.submit(command, (exit) => results.push(describeExit(exit)), undefined)
    const selects = command.name === "use"
    this.add({ mark, entry, tube, selects, isOfBatch: false, answer, results, cancelled: false })
  }

  private submitAll<A, E>(commands: ReadonlyArray<readonly [command: Protocol.Command<A, E>, answer: string]>): void {
    const first = this.sent.length
    const results = commands.map((): Array<string> => [])
    const batch = batchOf(commands, ([command]) => command)
    const [entry] = this.harness.pipeline.submitAll(batch, (exit, index) => results[index]?.push(describeExit(exit)))
    assert(entry !== undefined)
    commands.forEach(([, answer], index) =>
      this.add({
        mark: first + index,
        entry,
        tube: undefined,
        selects: false,
        isOfBatch: true,
        answer,
        results: results[index] ?? [],
        cancelled: false
      })
    )
  }

  private add(sent: Sent): void {
    this.sent.push(sent)
    this.queue.push(sent)
  }

  private cancel({ entry }: Sent): void {
    for (const sent of this.sent) {
      if (sent.entry === entry && sent.results.length === 0) sent.cancelled = true
    }
    this.queue = this.queue.filter((sent) => sent.entry !== entry || !(sent.isOfBatch || entry.state === "Queued"))
    this.harness.pipeline.cancel(entry)
  }

  /** What the pipeline owes a command. */
  stateOf(sent: Sent): PendingCommand["state"] {
    if (!sent.isOfBatch) return sent.entry.state
    if (sent.results.length > 0 || sent.cancelled) return "Settled"
    return this.queue.includes(sent) ? "Queued" : "InFlight"
  }

  private write(): void {
    this.server.take(this.harness.written())
    // A use in front of a command is written even if there is room for one only.
    assert.isAtMost(this.server.unanswered, this.maxInFlight + 1)
    for (const [mark, tube] of this.server.acted.slice(this.checked)) {
      let next = this.queue.shift()
      while (next?.selects === true) {
        this.tubeInUse = next.tube ?? ""
        next = this.queue.shift()
      }
      assert.strictEqual(next?.mark, mark, "commands are written in the order in which they were submitted")
      if (next !== undefined && /^\d+$/.test(next.answer)) assert.strictEqual(tube, next.tube ?? this.tubeInUse)
    }
    this.checked = this.server.acted.length
  }

  /** Writes and receives until nothing is left. */
  drain(): void {
    do {
      this.write()
      const rest = this.server.deliver(Number.POSITIVE_INFINITY)
      if (rest !== "") this.harness.receive(rest)
    } while (this.sent.some(({ entry }) => !entry.isWritten && !entry.isSettled) || !this.server.isDrained)
  }
}

describe("any interleaving of commands, cancellations and chunks", () => {
  const steps = fc.array(step, { maxLength: 120 })
  const maxInFlight = fc.integer({ min: 1, max: 8 })
  const maxQueuedBytes = fc.constantFrom(1, 40, 100, 1_000_000)

  it("each command is settled once, with its own reply, in its own tube", () => {
    fc.assert(
      fc.property(steps, maxInFlight, maxQueuedBytes, (steps, maxInFlight, maxQueuedBytes) => {
        const model = new Model(maxInFlight, maxQueuedBytes)
        for (const step of steps) model.perform(step)
        model.drain()
        model.harness.assertOpen()
        for (const { answer, cancelled, results } of model.sent) {
          assert.deepStrictEqual(results, cancelled ? [] : [answer])
        }
      }),
      { numRuns: 500 }
    )
  })

  it("each command is settled once, with its outcome, when the pipeline ends in between", () => {
    fc.assert(
      fc.property(steps, maxInFlight, maxQueuedBytes, (steps, maxInFlight, maxQueuedBytes) => {
        const model = new Model(maxInFlight, maxQueuedBytes)
        for (const step of steps) model.perform(step)
        const states = model.sent.map((sent) => model.stateOf(sent))
        model.harness.pipeline.end({ reason: "enough" })
        model.harness.pipeline.closed()
        assert.strictEqual(model.harness.ending, "enough")
        const ends: Partial<Record<PendingCommand["state"], string>> = {
          Queued: "ConnectionLost NotSent: enough",
          InFlight: "ConnectionLost Unknown: enough"
        }
        for (const [index, { answer, cancelled, results }] of model.sent.entries()) {
          const state = states[index] ?? "Settled"
          assert.deepStrictEqual(results, cancelled ? [] : [ends[state] ?? answer])
        }
      }),
      { numRuns: 300 }
    )
  })

  it("each command is settled once, and nothing is thrown, whatever the server sends", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map(chars),
      fc.constantFrom(
        "TOUCHED\r\n",
        "NOT_FOUND\r\n",
        "INSERTED 1\r\n",
        "USING a\r\n",
        "RESERVED 1 1\r\nx\r\n",
        "OK 9\r\n"
      )
    )
    fc.assert(
      fc.property(steps, fc.array(noise, { maxLength: 5 }), (steps, noise) => {
        const model = new Model(4, 1000)
        for (const step of steps) if (step.step !== "receive") model.perform(step)
        for (const piece of noise) model.harness.receive(piece)
        model.harness.pipeline.end({ reason: "enough" })
        for (const { cancelled, results } of model.sent) assert.strictEqual(results.length, cancelled ? 0 : 1)
        assert.strictEqual(model.harness.endings.length, 1)
      }),
      { numRuns: 300 }
    )
  })
})
