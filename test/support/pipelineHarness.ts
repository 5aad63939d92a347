import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Protocol from "../../src/BeanstalkProtocol.ts"
import type { PendingCommand } from "../../src/internal/connection/pendingCommand.ts"
import { type Ending, Pipeline, type PipelineOptions } from "../../src/internal/connection/pipeline.ts"
import { PeekedJob, ReservedJob } from "../../src/Job.ts"
import { bytes, chars, gibibyte, valid } from "./replies.ts"

/** A result in a few words. */
export const describeValue = (value: unknown): string => {
  if (value === undefined) return "done"
  if (Option.isOption(value)) return Option.isSome(value) ? describeValue(value.value) : "none"
  if (value instanceof ReservedJob || value instanceof PeekedJob) return `job ${value.id}: ${chars(value.body)}`
  return String(value)
}

/** How a command ended, in a few words. */
export const describeExit = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return describeValue(exit.value)
  const error = Cause.squash(exit.cause)
  if (!(error instanceof Error)) return "no error"
  if (Cause.isDie(exit.cause)) return `Defect: ${error.message}`
  if ("outcome" in error && "reason" in error) return `${error.name} ${error.outcome}: ${error.reason}`
  return "id" in error ? `${error.name} ${error.id}` : error.name
}

/** A pipeline without a socket, which records what it does. */
export class PipelineHarness {
  readonly pipeline: Pipeline
  time = 0
  /** The result of each command, in the order in which they were settled. */
  readonly settled: Array<string> = []
  readonly exits: Array<Exit.Exit<unknown, unknown>> = []
  readonly endings: Array<Ending> = []
  writable = 0
  deadlineChanges = 0

  constructor(options: Partial<PipelineOptions> = {}) {
    this.pipeline = new Pipeline({
      address: "queue:11300",
      replyTimeout: 10_000,
      maxInFlight: 4096,
      maxQueuedBytes: 16 * 1024 * 1024,
      maxBodySize: gibibyte,
      now: () => this.time,
      onWritable: () => void this.writable++,
      onDeadline: () => void this.deadlineChanges++,
      onEnd: (ending) => void this.endings.push(ending),
      trace: undefined,
      ...options
    })
  }

  send<A, E>(command: Protocol.Command<A, E>, then?: () => void): PendingCommand {
    return this.pipeline.submit(command, (exit) => {
      this.exits.push(exit)
      this.settled.push(`${command.line}: ${describeExit(exit)}`)
      then?.()
    }, undefined)
  }

  /** Takes what may be written. */
  written(): string {
    const batch = this.pipeline.takeBatch()
    return batch === undefined ? "" : chars(batch)
  }

  receive(text: string): void {
    this.pipeline.receive(bytes(text))
  }

  /** Why it has ended. */
  get ending(): string {
    assert.strictEqual(this.endings.length, 1)
    return this.endings[0]?.reason ?? ""
  }

  assertOpen(): void {
    assert.deepStrictEqual(this.endings, [])
  }
}

export const put = (body: string, tube?: string) => valid(Protocol.put(body, { tube }))
export const use = (tube: string) => valid(Protocol.use(tube))
export const touch = (id: string) => valid(Protocol.touch(id))
export const peek = (id: string) => valid(Protocol.peek(id))
export const reserveWithin = (seconds: number) => valid(Protocol.reserveWithTimeout(seconds * 1000))
