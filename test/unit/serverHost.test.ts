/** A broker with its clients and the time, without Effect. */
import { assert, describe, it } from "vitest"
import { onNextMacrotask } from "../../src/internal/base/macrotask.ts"
import type { ClientEnd } from "../../src/internal/embedded/faultyTransport.ts"
import { ServerHost } from "../../src/internal/embedded/serverHost.ts"
import { bytes, chars } from "../support/replies.ts"

/** A host whose clock goes on by so many milliseconds each time that somebody looks at it. */
class Setup {
  time = 0
  looks = 0
  /** When the host wants to be rung, at the latest. */
  ringsAt = Number.POSITIVE_INFINITY
  heard = ""
  resets = 0
  readonly host: ServerHost
  private readonly lookTakes: number

  constructor(lookTakes = 0) {
    this.lookTakes = lookTakes
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
        this.looks += 1
        return this.time += this.lookTakes
      },
      onEvent: () => {},
      setTimer: (at) => this.ringsAt = Math.min(this.ringsAt, at)
    })
  }

  open(door?: Partial<ClientEnd>) {
    const line = this.host.open({
      deliver: (chunk) => {
        this.heard += chars(chunk)
        return true
      },
      setReading: () => {},
      end: () => {},
      reset: () => void (this.resets += 1),
      ...door
    })
    assert.isDefined(line)
    return line
  }

  /** Lets time pass until the host wants to be rung, and rings. */
  ring(): void {
    this.time = Math.max(this.time, this.ringsAt)
    this.ringsAt = Number.POSITIVE_INFINITY
    this.host.fire()
  }
}

const turned = () => new Promise<void>((resolve) => onNextMacrotask(resolve))

describe("a host", () => {
  it("looks at the clock equally often for each of many that speak in one turn", () => {
    const looks = (clients: number) => {
      const setup = new Setup()
      const lines = Array.from({ length: clients }, () => setup.open())
      for (const line of lines) line.receive(bytes("list-tube-used\r\n"))
      setup.host.fire()
      assert.strictEqual(setup.heard, "USING default\r\n".repeat(clients))
      return setup.looks / clients
    }
    assert.isBelow(looks(1000), 2 * looks(10))
  })

  it("forgets nothing that becomes due while it looks at what is due", async () => {
    const setup = new Setup(1)
    const line = setup.open()
    setup.host.inject({ _tag: "Delay", duration: 100 })
    const count = 50
    for (let i = 0; i < count; i++) line.receive(bytes("list-tube-used\r\n"))
    await turned()
    while (setup.ringsAt < Number.POSITIVE_INFINITY) setup.ring()
    assert.strictEqual(setup.heard, "USING default\r\n".repeat(count))
  })

  it("does not give the answer that is meant for a client to one whose connection is over", () => {
    const setup = new Setup()
    const [gone, other] = [setup.open(), setup.open()]
    gone.receive(bytes("quit\r\n"))
    setup.host.fire()
    setup.host.inject({ _tag: "Answer", bytes: bytes("OUT_OF_MEMORY\r\n") })
    gone.receive(bytes("stats\r\n"))
    other.receive(bytes("stats\r\n"))
    setup.host.fire()
    assert.strictEqual(setup.heard, "OUT_OF_MEMORY\r\n")
  })

  it("cuts a connection too that its client has closed in a silence", () => {
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
    assert.strictEqual(setup.heard, "")
  })

  it("listens to nobody in a silence: it would have to keep what it does not hear", () => {
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
