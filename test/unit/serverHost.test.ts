/** A server host, without Effect. */
import { assert, describe, it } from "vitest"
import { onNextMacrotask } from "../../src/internal/base/macrotask.ts"
import type { ClientEnd } from "../../src/internal/embedded/faultyTransport.ts"
import { ServerHost } from "../../src/internal/embedded/serverHost.ts"
import { bytes, chars } from "../support/replies.ts"

/** A server host whose clock advances by so many milliseconds whenever it is read. */
class Setup {
  time = 0
  reads = 0
  /** When the timer fires. */
  firesAt = Number.POSITIVE_INFINITY
  received = ""
  resets = 0
  readonly host: ServerHost
  private readonly readTakes: number

  constructor(readTakes = 0) {
    this.readTakes = readTakes
    this.host = new ServerHost({
      identity: {
        version: "1.13",
        maxJobSize: 65_535,
        id: "0123456789abcdef",
        startedAt: 0,
        pid: 0,
        hostname: "host",
        os: "os",
        platform: "platform"
      },
      now: () => {
        this.reads += 1
        return this.time += this.readTakes
      },
      onEvent: () => {},
      setTimer: (at) => this.firesAt = Math.min(this.firesAt, at)
    })
  }

  open(clientEnd?: Partial<ClientEnd>) {
    const line = this.host.open({
      deliver: (chunk) => {
        this.received += chars(chunk)
        return true
      },
      setReading: () => {},
      end: () => {},
      reset: () => void (this.resets += 1),
      ...clientEnd
    })
    assert.isDefined(line)
    return line
  }

  /** Lets time pass until the timer fires. */
  fire(): void {
    this.time = Math.max(this.time, this.firesAt)
    this.firesAt = Number.POSITIVE_INFINITY
    this.host.fire()
  }
}

const nextTurn = () => new Promise<void>((resolve) => onNextMacrotask(resolve))

describe("a server host", () => {
  it("reads the clock as often per client when many send in one turn of the event loop", () => {
    const reads = (clients: number) => {
      const setup = new Setup()
      const lines = Array.from({ length: clients }, () => setup.open())
      for (const line of lines) line.receive(bytes("list-tube-used\r\n"))
      setup.host.fire()
      assert.strictEqual(setup.received, "USING default\r\n".repeat(clients))
      return setup.reads / clients
    }
    assert.isBelow(reads(1000), 2 * reads(10))
  })

  it("delivers frames that arrive while it delivers others", async () => {
    const setup = new Setup(1)
    const line = setup.open()
    setup.host.inject({ _tag: "Delay", duration: 100 })
    const count = 50
    for (let i = 0; i < count; i++) line.receive(bytes("list-tube-used\r\n"))
    await nextTurn()
    while (setup.firesAt < Number.POSITIVE_INFINITY) setup.fire()
    assert.strictEqual(setup.received, "USING default\r\n".repeat(count))
  })

  it("does not use up an injected answer for a client whose connection is closed", () => {
    const setup = new Setup()
    const [gone, other] = [setup.open(), setup.open()]
    gone.receive(bytes("quit\r\n"))
    setup.host.fire()
    setup.host.inject({ _tag: "Answer", bytes: bytes("OUT_OF_MEMORY\r\n") })
    gone.receive(bytes("stats\r\n"))
    other.receive(bytes("stats\r\n"))
    setup.host.fire()
    assert.strictEqual(setup.received, "OUT_OF_MEMORY\r\n")
  })

  it("resets also a connection that its client has closed during Silence", () => {
    const setup = new Setup()
    const [holder, other] = [setup.open(), setup.open()]
    holder.receive(bytes("put 0 0 60 1\r\nx\r\nreserve\r\n"))
    setup.host.inject({ _tag: "Silence" })
    holder.hangUp()
    assert.strictEqual(setup.host.broker.store.tubes.default.reserved, 1)
    setup.host.inject({ _tag: "Cut" })
    assert.strictEqual(setup.host.broker.store.tubes.default.ready.size, 1)
    assert.deepStrictEqual([...setup.host.broker.connections].map(({ client }) => client.number), [])
    assert.strictEqual(setup.resets, 1)
    other.receive(bytes("stats\r\n"))
    setup.host.heal()
    assert.strictEqual(setup.received, "")
  })

  it("reads from no client during Silence: it would have to keep the bytes in memory", () => {
    const setup = new Setup()
    const isRead: Record<string, boolean> = {}
    const listener = (name: string) => ({ setReading: (isReading: boolean) => void (isRead[name] = isReading) })
    setup.open(listener("first"))
    setup.host.inject({ _tag: "Silence" })
    setup.open(listener("second"))
    assert.deepStrictEqual(isRead, { first: false, second: false })
    setup.host.heal()
    setup.host.fire()
    assert.deepStrictEqual(isRead, { first: true, second: true })
  })
})
