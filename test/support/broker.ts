/**
 * A broker whose time is told by the test, and clients without sockets. Lines are said without their CRLF, and what is heard
 * has a bar in the place of each CRLF: `RESERVED 1 5|hello`.
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
  /** What happened to jobs: the event, the id, and the number of the client. */
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

  /** Some clients that are connected one behind the other. */
  clients(count: number): ReadonlyArray<TestClient> {
    return Array.from({ length: count }, () => this.connect())
  }

  /** Lets milliseconds go by, all at once, and everything happen that is due then. */
  pass(millis: number): void {
    this.now += millis
    this.act(() => {})
  }

  /** Lets time go by from one thing that is due to the next, as an alarm does. */
  passStepwise(millis: number): void {
    const end = this.now + millis
    while (this.broker.nextTick <= end) this.pass(Math.max(0, this.broker.nextTick - this.now))
    this.pass(end - this.now)
  }

  act<A>(what: () => A): A {
    return this.broker.runAt(this.now, what)
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
  /** Whether what the server says is taken in. */
  isReading = true
  readonly connection: Connection
  private readonly server: TestBroker
  private heard = ""

  constructor(server: TestBroker) {
    this.server = server
    this.connection = server.broker.connect({
      write: (chunk) => {
        this.heard += chars(chunk)
        return this.isReading
      },
      close: () => void (this.isClosed = true)
    })
  }

  /** Says bytes as they are. */
  says(text: string): void {
    this.server.act(() => this.connection.receive(bytes(text)))
  }

  /** What was heard since the last time. */
  hears(): string {
    const heard = this.heard
    this.heard = ""
    return heard.endsWith("\r\n") ? heard.slice(0, -2).replaceAll("\r\n", "|") : heard
  }

  /** Says lines, and hears. */
  asks(...lines: ReadonlyArray<string>): string {
    this.says(`${lines.join("\r\n")}\r\n`)
    return this.hears()
  }

  /** Puts a job of one byte. */
  puts(priority = 0, delay = 0, ttr = 60): string {
    return this.asks(`put ${priority} ${delay} ${ttr} 1`, "x")
  }

  /** One entry of a document that is asked for. */
  stat(command: string, key: string): string {
    const document = this.asks(command)
    const value = new RegExp(`^${key}: (.*)$`, "m").exec(document)?.[1]
    if (value === undefined) throw new Error(`${command} says nothing of ${key}: ${document}`)
    return value
  }

  /** Some entries of a document that is asked for. */
  stats(command: string, ...keys: ReadonlyArray<string>): ReadonlyArray<string> {
    return keys.map((key) => this.stat(command, key))
  }

  /** Says no more, but still listens. */
  halfCloses(): string {
    this.server.act(() => this.connection.end())
    return this.hears()
  }

  /** Closes in an orderly way. */
  closes(): string {
    this.server.act(() => this.connection.hangUp())
    return this.hears()
  }

  /** Is gone without a word. */
  vanishes(): void {
    this.server.act(() => this.connection.close())
  }

  /** Reads again. */
  readsAgain(): string {
    this.isReading = true
    this.server.act(() => this.connection.resume())
    return this.hears()
  }
}
