/**
 * A broker whose time is set by the test, and clients without sockets. Lines are sent without their CRLF; in replies each CRLF
 * but the last is replaced by a bar: `RESERVED 1 5|hello`.
 */
import { Broker } from "../../src/internal/broker/broker.ts"
import type { Version } from "../../src/internal/broker/commandParser.ts"
import type { Connection } from "../../src/internal/broker/connection.ts"
import type { Memory } from "../../src/internal/broker/jobStore.ts"
import { bytes, chars } from "./replies.ts"

export const startsAt = 1_700_000_000_000

interface Options {
  readonly version?: Version
  readonly maxJobSize?: number
}

export class TestBroker {
  now = startsAt
  readonly broker: Broker
  /** Of each event the kind, the id of the job and the number of the client. */
  readonly events: Array<string> = []

  constructor({ maxJobSize = 65_535, version = "1.13" }: Options = {}) {
    this.broker = new Broker({
      version,
      maxJobSize,
      id: "0123456789abcdef",
      hostname: "host",
      os: "os",
      platform: "platform",
      pid: 7,
      startedAt: startsAt
    }, (event, job, client) => this.events.push(`${event} ${job.id} ${client?.number ?? "-"}`))
  }

  connect(): TestClient {
    return new TestClient(this)
  }

  /** Connects several clients, one after the other. */
  clients(count: number): ReadonlyArray<TestClient> {
    return Array.from({ length: count }, () => this.connect())
  }

  /** Advances the time by so many milliseconds at once, and does everything that is due then. */
  advance(millis: number): void {
    this.now += millis
    this.run(() => {})
  }

  /** Advances the time from one tick to the next, as a timer does. */
  advanceStepwise(millis: number): void {
    const end = this.now + millis
    while (this.broker.nextTick <= end) this.advance(Math.max(0, this.broker.nextTick - this.now))
    this.advance(end - this.now)
  }

  run<A>(action: () => A): A {
    return this.broker.runAt(this.now, action)
  }

  drain(): void {
    this.broker.drain()
  }

  set memory(memory: Memory) {
    this.broker.store.memory = memory
  }
}

export class TestClient {
  /** Whether the server has closed the connection. */
  isClosed = false
  /** Whether the client reads. */
  isReading = true
  readonly connection: Connection
  private readonly server: TestBroker
  private received = ""

  constructor(server: TestBroker) {
    this.server = server
    this.connection = server.broker.connect({
      write: (chunk) => {
        this.received += chars(chunk)
        return this.isReading
      },
      close: () => void (this.isClosed = true)
    })
  }

  /** Sends bytes as they are. */
  send(text: string): void {
    this.server.run(() => this.connection.receive(bytes(text)))
  }

  /** The replies since the last call. */
  takeReplies(): string {
    const { received } = this
    this.received = ""
    return received.endsWith("\r\n") ? received.slice(0, -2).replaceAll("\r\n", "|") : received
  }

  /** Sends lines, and returns the replies. */
  request(...lines: ReadonlyArray<string>): string {
    this.send(`${lines.join("\r\n")}\r\n`)
    return this.takeReplies()
  }

  /** Puts a job of one byte. */
  put(priority = 0, delay = 0, ttr = 60): string {
    return this.request(`put ${priority} ${delay} ${ttr} 1`, "x")
  }

  /** Requests a document, and returns one of its values. */
  stat(command: string, key: string): string {
    const document = this.request(command)
    const value = new RegExp(`^${key}: (.*)$`, "m").exec(document)?.[1]
    if (value === undefined) throw new Error(`the reply to ${command} has no ${key}: ${document}`)
    return value
  }

  /** Requests a document for each key, and returns the values. */
  stats(command: string, ...keys: ReadonlyArray<string>): ReadonlyArray<string> {
    return keys.map((key) => this.stat(command, key))
  }

  halfClose(): string {
    this.server.run(() => this.connection.end())
    return this.takeReplies()
  }

  close(): string {
    this.server.run(() => this.connection.hangUp())
    return this.takeReplies()
  }

  reset(): void {
    this.server.run(() => this.connection.close())
  }

  resumeReading(): string {
    this.isReading = true
    this.server.run(() => this.connection.resume())
    return this.takeReplies()
  }
}
