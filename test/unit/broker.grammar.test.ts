/** How the broker parses command lines: exactly as beanstalkd 1.12 and 1.13 do, unless a title says otherwise. */
import { assert, describe, it } from "@effect/vitest"
import { TestBroker } from "../support/broker.ts"

const versions = ["1.12", "1.13"] as const

const text = (size: number) => "x".repeat(size)

const fresh = (version: "1.12" | "1.13" = "1.13") => new TestBroker({ version }).connect()

const afterwards = "list-tube-used\r\n"

describe("framing", () => {
  it("a line of 224 bytes, with its CRLF, is not too long", () => {
    const tube = text(200)
    const client = fresh()
    assert.strictEqual(client.request(`use ${tube}`), `USING ${tube}`)
    assert.strictEqual(client.request(`${" ".repeat(222)}`), "UNKNOWN_COMMAND")
    assert.strictEqual(client.request(`delete ${"0".repeat(214)}1`), "NOT_FOUND")
  })

  it.each(["foo\rbar\r\n", "list-tube-used\r\r\n"])("a stray CR stalls the connection: %j", (line) => {
    const client = fresh()
    client.send(line)
    client.send(afterwards)
    assert.strictEqual(client.takeReplies(), "")
    for (let sent = line.length + afterwards.length; sent <= 224; sent += afterwards.length) client.send(afterwards)
    assert.strictEqual(client.takeReplies(), "BAD_FORMAT")
    assert.strictEqual(client.request("list-tube-used"), "USING default")
  })

  it("an LF without CR does not end a line: the next command becomes part of it", () => {
    const client = fresh()
    client.send("list-tube-used\n")
    assert.strictEqual(client.takeReplies(), "")
    assert.strictEqual(client.request("list-tube-used"), "BAD_FORMAT")
    assert.strictEqual(client.request("list-tube-used"), "USING default")
  })

  it.each([
    ["a NUL", "delete 1\0", "BAD_FORMAT"],
    ["a NUL in an unknown command", "foo\0", "BAD_FORMAT"],
    ["bytes beyond ASCII", "\xff\xfe", "UNKNOWN_COMMAND"],
    ["bytes beyond ASCII in a name", "use \xe9", "BAD_FORMAT"],
    ["nothing", "", "UNKNOWN_COMMAND"],
    ["upper case", "RESERVE", "UNKNOWN_COMMAND"],
    ["a leading space", " list-tubes", "UNKNOWN_COMMAND"]
  ])("a line with %s is answered, and the next command is executed", (_, line, reply) => {
    const client = fresh()
    assert.strictEqual(client.request(line, "list-tube-used"), `${reply}|USING default`)
  })
})

describe("a line that is too long", () => {
  it.each([223, 224, 225, 400, 446, 447, 448, 449, 671, 5000])(
    "of %i bytes and a CRLF is answered with one BAD_FORMAT, and the next command is executed (unlike beanstalkd at 225, 449, …)",
    (size) => {
      const client = fresh()
      assert.strictEqual(
        client.request(text(size), "list-tube-used", "foo"),
        "BAD_FORMAT|USING default|UNKNOWN_COMMAND"
      )
    }
  )

  it("is answered when its CRLF is received, and not before", () => {
    const client = fresh()
    client.send(text(10_000))
    assert.strictEqual(client.takeReplies(), "")
    client.send("\r\n")
    assert.strictEqual(client.takeReplies(), "BAD_FORMAT")
  })
})

describe("the name of a command", () => {
  const without = ["delete", "put", "use", "watch", "ignore", "touch", "bury", "release", "kick", "kick-job", "peek"]

  it.each(without)(
    "%s without a space is UNKNOWN_COMMAND; with a space but without an argument it is BAD_FORMAT",
    (name) => {
      assert.strictEqual(fresh().request(name, `${name} `), "UNKNOWN_COMMAND|BAD_FORMAT")
    }
  )

  it.each([
    "reserve ",
    "reservex",
    "reserve-job",
    "reserve-job ",
    "reserve-with-timeout",
    "stats ",
    "statsx",
    "stats-job",
    "stats-tube",
    "stats-job ",
    "stats-tube ",
    "peek-readyx",
    "peek-delayed ",
    "peek-buried 1",
    "list-tubesx",
    "list-tube-used ",
    "list-tubes-watched ",
    "pause-tube",
    "pause-tube ",
    "pause-tube default",
    "pause-tube default x"
  ])("%j is BAD_FORMAT", (line) => {
    assert.strictEqual(fresh().request(line, "list-tube-used"), "BAD_FORMAT|USING default")
  })

  it.each(["list-tube", "peek-foo", "delete\t1", "foo", "q", "qui", "pause"])("%j is UNKNOWN_COMMAND", (line) => {
    assert.strictEqual(fresh().request(line, "list-tube-used"), "UNKNOWN_COMMAND|USING default")
  })

  it.each(["quit", "quitx", "quit foo"])("%j closes the connection", (line) => {
    const client = fresh()
    assert.strictEqual(client.request(line, "list-tube-used"), "")
    assert.isTrue(client.isClosed)
  })

  it("pause-tube needs no space before the name of the tube", () => {
    assert.strictEqual(fresh().request("pause-tubedefault 0"), "PAUSED")
  })
})

describe("numbers", () => {
  const byId = ["delete", "touch", "peek", "kick-job", "reserve-job", "stats-job"]

  it.each(byId)("%s accepts ids from 0 to 2^64-1, after any number of spaces, and nothing after them", (name) => {
    const client = fresh()
    const ask = (argument: string) => client.request(`${name} ${argument}`)
    for (const argument of ["0", "1", "007", "   1", "18446744073709551615", "9007199254740993"]) {
      assert.strictEqual(ask(argument), "NOT_FOUND", argument)
    }
    const wrong = ["-1", "+1", "\t1", "1 ", "1x", "1 1", "x", "18446744073709551616", "99999999999999999999999", "1.5"]
    for (const argument of wrong) assert.strictEqual(ask(argument), "BAD_FORMAT", argument)
  })

  it.each([
    ["release", (numbers: string) => `release 1 ${numbers}`, "NOT_FOUND"],
    ["pause-tube", (numbers: string) => `pause-tube default ${numbers.split(" ")[0]}`, "PAUSED"]
  ])("%s accepts numbers from 0 to 2^32-1", (_, line, reply) => {
    const client = fresh()
    assert.strictEqual(client.request(line("0 0")), reply)
    assert.strictEqual(client.request(line("4294967295 4294967295")), reply)
    assert.strictEqual(client.request(line("4294967296 0")), "BAD_FORMAT")
    assert.strictEqual(client.request(line("-1 0")), "BAD_FORMAT")
  })

  it.each([
    ["release 1 0 0 ", "BAD_FORMAT"],
    ["release 1 0 0x", "BAD_FORMAT"],
    ["release 1 0", "BAD_FORMAT"],
    ["release 1 0 4294967296", "BAD_FORMAT"],
    ["release 18446744073709551616 0 0", "BAD_FORMAT"],
    ["release   1   0   0", "NOT_FOUND"],
    ["bury 1 0", "NOT_FOUND"],
    ["bury 1 4294967295", "NOT_FOUND"],
    ["bury  1  0", "NOT_FOUND"],
    ["bury 1 4294967296", "BAD_FORMAT"],
    ["bury 18446744073709551616 0", "BAD_FORMAT"],
    ["bury 1 0 ", "BAD_FORMAT"],
    ["bury 1", "BAD_FORMAT"],
    ["pause-tube default 0 ", "BAD_FORMAT"],
    ["pause-tube default 0 0", "BAD_FORMAT"],
    ["pause-tube default 0x", "BAD_FORMAT"],
    ["put 0 0 1 1 ", "BAD_FORMAT"],
    ["put 0 0 1 1x", "BAD_FORMAT"],
    ["put 0 0 1", "BAD_FORMAT"],
    ["put 4294967296 0 1 1", "BAD_FORMAT"],
    ["put 0 4294967296 1 1", "BAD_FORMAT"],
    ["put 0 0 4294967296 1", "BAD_FORMAT"],
    ["put 0 0 1 4294967296", "BAD_FORMAT"],
    ["put -1 0 1 1", "BAD_FORMAT"]
  ])("%j is answered with %s", (line, reply) => {
    assert.strictEqual(fresh().request(line, "list-tube-used"), `${reply}|USING default`)
  })

  it.each([
    ["kick 0", 0],
    ["kick 2", 2],
    ["kick \t 2", 2],
    ["kick +2", 2],
    ["kick 2 9", 2],
    ["kick 2x", 2],
    ["kick 4294967296", 0],
    ["kick 4294967297", 1],
    ["kick -1", 3],
    ["kick -4294967295", 1],
    ["kick 18446744073709551615", 3]
  ])("%j is parsed as by strtoul, and kicks %i of three jobs", (line, kicked) => {
    const client = fresh()
    for (let i = 0; i < 3; i++) client.put(0, 100)
    assert.strictEqual(client.request(line), `KICKED ${kicked}`)
  })

  it.each(["kick x", "kick  ", "kick -", "kick 18446744073709551616"])("%j is BAD_FORMAT", (line) => {
    assert.strictEqual(fresh().request(line), "BAD_FORMAT")
  })
})

describe("reserve-with-timeout", () => {
  const immediate = "immediate"
  const forEver = "for ever"

  /** What happens without jobs: `BAD_FORMAT`, or when the reserve times out. */
  const outcome = (version: "1.12" | "1.13", argument: string) => {
    const server = new TestBroker({ version })
    const client = server.connect()
    const reply = client.request(`reserve-with-timeout ${argument}`)
    if (reply === "TIMED_OUT") return immediate
    if (reply !== "") return reply
    if (server.broker.nextTick === Number.POSITIVE_INFINITY) return forEver
    return (server.broker.nextTick - server.now) / 1000
  }

  it.each([
    ["0", immediate, immediate],
    ["1", 1, 1],
    ["0001", 1, 1],
    ["  1", 1, 1],
    ["2147483647", 2_147_483_647, 2_147_483_647],
    ["0x", immediate, immediate],
    ["0 junk", immediate, immediate],
    ["1x", 1, 1],
    ["", immediate, "BAD_FORMAT"],
    ["abc", immediate, "BAD_FORMAT"],
    ["+0", immediate, "BAD_FORMAT"],
    ["+1", 1, "BAD_FORMAT"],
    ["\t0", immediate, "BAD_FORMAT"],
    ["-1", forEver, "BAD_FORMAT"],
    ["-0", immediate, "BAD_FORMAT"],
    ["2147483648", forEver, "BAD_FORMAT"],
    ["4294967295", forEver, "BAD_FORMAT"],
    ["4294967296", immediate, "BAD_FORMAT"],
    ["4294967297", 1, "BAD_FORMAT"],
    ["9223372036854775807", forEver, "BAD_FORMAT"],
    ["9223372036854775808", "BAD_FORMAT", "BAD_FORMAT"],
    ["-9223372036854775809", "BAD_FORMAT", "BAD_FORMAT"]
  ])("%j is %s in 1.12, and %s in 1.13", (argument, older, newer) => {
    assert.strictEqual(outcome("1.12", argument), older)
    assert.strictEqual(outcome("1.13", argument), newer)
  })
})

describe("names of tubes", () => {
  const right = ["a", "A-z", "a-", "0", "+", "/", ";", ".", "$", "_", "(", ")", "azAZ09-+/;.$_()", text(200)]
  const wrong = ["-a", "-", "", text(201), " a", "a ", "a b", "a\t", "ä", "a:b", "a*", "a,b", "a\n"]

  it.each(versions)("are checked in the same way by every command of %s", (version) => {
    const client = fresh(version)
    for (const name of right) {
      assert.strictEqual(client.request(`use ${name}`), `USING ${name}`)
      assert.match(client.request(`watch ${name}`), /^WATCHING \d+$/)
      assert.match(client.request(`stats-tube ${name}`), /^OK /)
      assert.strictEqual(client.request(`pause-tube ${name} 0`), "PAUSED")
      assert.match(client.request(`ignore ${name}`), /^WATCHING 1$/)
    }
    for (const name of wrong) {
      for (const command of ["use", "watch", "ignore", "stats-tube"]) {
        assert.strictEqual(client.request(`${command} ${name}`), "BAD_FORMAT", `${command} ${name}`)
      }
    }
    for (const name of wrong.filter((name) => name !== " a" && name !== "a ")) {
      assert.strictEqual(client.request(`pause-tube ${name} 0`), "BAD_FORMAT", name)
    }
    assert.strictEqual(client.request("list-tubes"), `OK ${4 + 10 + 203}|---\n- default\n- ${text(200)}\n`)
  })

  it("pause-tube accepts several spaces before the name", () => {
    assert.strictEqual(fresh().request("pause-tube   default 0"), "PAUSED")
  })
})

describe("the cmd- counters of stats count", () => {
  const counted = (name: string, ...lines: ReadonlyArray<string>) => {
    const client = fresh()
    client.request(...lines)
    return client.stat("stats", `cmd-${name}`)
  }

  it.each([
    ["delete", "delete x"],
    ["reserve-with-timeout", "reserve-with-timeout x"],
    ["use", "use -a"],
    ["put", "put 0 0 x 1"],
    ["kick", "kick x"],
    ["pause-tube", "pause-tube default x"],
    ["stats-tube", "stats-tube -a"]
  ])("no %s that is answered with BAD_FORMAT", (name, line) => {
    assert.strictEqual(counted(name, line), "0")
  })

  it("a put with something after the size, and a put that is too big", () => {
    assert.strictEqual(counted("put", "put 0 0 1 1 junk"), "1")
    assert.strictEqual(counted("put", "put 0 0 1 65536", text(65_536)), "1")
  })

  it("a pause-tube with an invalid name", () => {
    assert.strictEqual(counted("pause-tube", "pause-tube -a 0"), "1")
    assert.strictEqual(counted("pause-tube", `pause-tube ${text(201)} 0`), "1")
  })

  it("each well-formed command, whatever the reply", () => {
    const client = fresh()
    const lines = [
      ["peek", "peek 1"],
      ["peek-ready", "peek-ready"],
      ["peek-delayed", "peek-delayed"],
      ["peek-buried", "peek-buried"],
      ["reserve-with-timeout", "reserve-with-timeout 0"],
      ["delete", "delete 1"],
      ["release", "release 1 0 0"],
      ["use", "use default"],
      ["watch", "watch default"],
      ["ignore", "ignore x"],
      ["bury", "bury 1 0"],
      ["kick", "kick 1"],
      ["touch", "touch 1"],
      ["stats-job", "stats-job 1"],
      ["stats-tube", "stats-tube x"],
      ["list-tubes", "list-tubes"],
      ["list-tube-used", "list-tube-used"],
      ["list-tubes-watched", "list-tubes-watched"],
      ["pause-tube", "pause-tube x 0"]
    ] as const
    for (const [name, line] of lines) {
      client.request(line)
      assert.strictEqual(client.stat("stats", `cmd-${name}`), "1", name)
    }
    assert.strictEqual(client.stat("stats", "cmd-stats"), String(lines.length + 1))
    client.request("kick-job 1", "reserve-job 1", "foo")
    assert.strictEqual(client.stat("stats", "cmd-kick"), "1")
    assert.strictEqual(client.stat("stats", "cmd-reserve"), "0")
    client.put()
    client.request("reserve")
    assert.deepStrictEqual(client.stats("stats", "cmd-put", "cmd-reserve"), ["1", "1"])
  })
})
