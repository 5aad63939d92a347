import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import fc from "fast-check"
import * as StatsReader from "../../src/internal/protocol/statsReader.ts"
import * as Stats from "../../src/Stats.ts"
import { bytes, recordedDocument, recordings } from "../support/replies.ts"

/** A document as text: what was read, which must be readable. */
const readable = <A>(document: A | StatsReader.Unreadable): A => {
  if (document instanceof StatsReader.Unreadable) throw new Error(`unreadable: ${document.line}`)
  return document
}

/** The line that a document is refused for. */
const unreadable = (document: unknown): string => {
  assert.instanceOf(document, StatsReader.Unreadable)
  return document instanceof StatsReader.Unreadable ? document.line : ""
}

const server = (document: string) => StatsReader.readServerStats(bytes(document))
const tube = (document: string) => StatsReader.readTubeStats(bytes(document))
const job = (document: string) => StatsReader.readJobStats(bytes(document))
const names = (document: string) => StatsReader.readTubeNames(bytes(document))

/** `stats` of 1.12, which quotes nothing but the version. */
const server112 = `---
current-jobs-urgent: 1
current-jobs-ready: 2
current-jobs-reserved: 3
current-jobs-delayed: 4
current-jobs-buried: 5
cmd-put: 6
cmd-peek: 7
cmd-peek-ready: 8
cmd-peek-delayed: 9
cmd-peek-buried: 10
cmd-reserve: 11
cmd-reserve-with-timeout: 12
cmd-delete: 13
cmd-release: 14
cmd-use: 15
cmd-watch: 16
cmd-ignore: 17
cmd-bury: 18
cmd-kick: 19
cmd-touch: 20
cmd-stats: 21
cmd-stats-job: 22
cmd-stats-tube: 23
cmd-list-tubes: 24
cmd-list-tube-used: 25
cmd-list-tubes-watched: 26
cmd-pause-tube: 27
job-timeouts: 28
total-jobs: 29
max-job-size: 65535
current-tubes: 30
current-connections: 31
current-producers: 32
current-workers: 33
current-waiting: 34
total-connections: 35
pid: 4711
version: "1.12"
rusage-utime: 0.148125
rusage-stime: 12.000000
uptime: 36
binlog-oldest-index: 37
binlog-current-index: 38
binlog-records-migrated: 39
binlog-records-written: 40
binlog-max-size: 10485760
draining: false
id: 12e4567890123456
hostname: queue.example.org
os: #1 SMP PREEMPT_DYNAMIC Debian 6.1.0-18 (2024-02-01)
platform: x86_64
`

/** `stats-tube` of 1.12, which does not quote the name either. */
const tube112 = `---
name: 123
current-jobs-urgent: 1
current-jobs-ready: 2
current-jobs-reserved: 3
current-jobs-delayed: 4
current-jobs-buried: 5
total-jobs: 6
current-using: 7
current-watching: 8
current-waiting: 9
cmd-delete: 10
cmd-pause-tube: 11
pause: 100
pause-time-left: 99
`

const job112 = `---
id: 18446744073709551615
tube: 123
state: reserved
pri: 4294967295
age: 1
delay: 2
ttr: 3
time-left: 4
file: 5
reserves: 6
timeouts: 7
releases: 8
buries: 9
kicks: 10
`

/** The same statistics as 1.13 writes them. */
const server113 = server112
  .replace("\"1.12\"", "\"1.13\"")
  .replace(/^(hostname|os|platform): (.*)$/gm, "$1: \"$2\"")
const tube113 = tube112.replace("123", "\"123\"")
const job113 = job112.replace("123", "\"123\"")

/** The same statistics as 1.11 writes them: without three keys. */
const server111 = server112.replace("\"1.12\"", "\"1.11\"").replace(/^(draining|os|platform): .*\n/gm, "")

const keysOf = (document: string): ReadonlyArray<string> => document.match(/^[a-z-]+(?=: )/gm) ?? []

const plainServer = {
  currentJobsUrgent: 1,
  currentJobsReady: 2,
  currentJobsReserved: 3,
  currentJobsDelayed: 4,
  currentJobsBuried: 5,
  cmdPut: 6,
  cmdPeek: 7,
  cmdPeekReady: 8,
  cmdPeekDelayed: 9,
  cmdPeekBuried: 10,
  cmdReserve: 11,
  cmdReserveWithTimeout: 12,
  cmdDelete: 13,
  cmdRelease: 14,
  cmdUse: 15,
  cmdWatch: 16,
  cmdIgnore: 17,
  cmdBury: 18,
  cmdKick: 19,
  cmdTouch: 20,
  cmdStats: 21,
  cmdStatsJob: 22,
  cmdStatsTube: 23,
  cmdListTubes: 24,
  cmdListTubeUsed: 25,
  cmdListTubesWatched: 26,
  cmdPauseTube: 27,
  jobTimeouts: 28,
  totalJobs: 29,
  maxJobSize: 65535,
  currentTubes: 30,
  currentConnections: 31,
  currentProducers: 32,
  currentWorkers: 33,
  currentWaiting: 34,
  totalConnections: 35,
  pid: 4711,
  version: "1.12",
  rusageUtime: 0.148125,
  rusageStime: 12,
  uptime: 36,
  binlogOldestIndex: 37,
  binlogCurrentIndex: 38,
  binlogRecordsMigrated: 39,
  binlogRecordsWritten: 40,
  binlogMaxSize: 10485760,
  draining: false,
  id: "12e4567890123456",
  hostname: "queue.example.org",
  os: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.0-18 (2024-02-01)",
  platform: "x86_64",
  unknown: {}
}

const plainTube = {
  name: "123",
  currentJobsUrgent: 1,
  currentJobsReady: 2,
  currentJobsReserved: 3,
  currentJobsDelayed: 4,
  currentJobsBuried: 5,
  totalJobs: 6,
  currentUsing: 7,
  currentWatching: 8,
  currentWaiting: 9,
  cmdDelete: 10,
  cmdPauseTube: 11,
  pause: 100,
  pauseTimeLeft: 99,
  unknown: {}
}

const plainJob = {
  id: "18446744073709551615",
  tube: "123",
  state: "reserved",
  pri: 4294967295,
  age: 1,
  delay: 2,
  ttr: 3,
  timeLeft: 4,
  file: 5,
  reserves: 6,
  timeouts: 7,
  releases: 8,
  buries: 9,
  kicks: 10,
  unknown: {}
}

describe("statistics of the server", () => {
  it("are read as 1.12 writes them, where an unquoted os is no comment and a hexadecimal id no number", () => {
    assert.strictEqual(keysOf(server112).length, 51)
    const stats = readable(server(server112))
    assert.instanceOf(stats, Stats.ServerStats)
    assert.deepStrictEqual<object>({ ...stats }, plainServer)
  })

  it("are read as 1.13 writes them, with quotes", () => {
    assert.include(server113, "os: \"#1 SMP")
    assert.deepStrictEqual<object>({ ...readable(server(server113)) }, { ...plainServer, version: "1.13" })
  })

  it("are read as 1.11 writes them, without draining, os and platform", () => {
    assert.strictEqual(keysOf(server111).length, 48)
    const { draining, os, platform, ...others } = plainServer
    assert.deepStrictEqual([draining, os.length, platform], [false, 51, "x86_64"])
    assert.deepStrictEqual<object>({ ...readable(server(server111)) }, { ...others, version: "1.11" })
  })

  it("tell that the server is draining", () => {
    assert.isTrue(readable(server(server112.replace("draining: false", "draining: true"))).draining)
    assert.strictEqual(unreadable(server(server112.replace("draining: false", "draining: no"))), "draining: no")
  })

  for (const id of ["1234567890123456", "0x12345678901234", "true", "null", "12e4567890123456", "00000000000000e1"]) {
    it(`keep the id ${id} as it is`, () => {
      assert.strictEqual(readable(server(server112.replace("12e4567890123456", id))).id, id)
    })
  }

  for (const os of ["", "#", "a: b", "\"", "\"\"", "- x", "'x'", "\"half", "a \"quoted\" word"]) {
    it(`keep an os of ${JSON.stringify(os)}, whether it is quoted or not`, () => {
      const written = (value: string) => server112.replace(/^os: .*$/m, () => `os: ${value}`)
      assert.strictEqual(readable(server(written(`"${os}"`))).os, os)
      if (os !== "\"\"") assert.strictEqual(readable(server(written(os))).os, os)
    })
  }

  it("are read as real servers wrote them", () => {
    for (const [version, exchanges] of recordings) {
      const document = recordedDocument(exchanges, "stats")
      assert.deepStrictEqual(keysOf(document), keysOf(server112), version)
      const stats = readable(server(document))
      assert.deepStrictEqual(
        [stats.maxJobSize, stats.hostname, stats.platform, stats.draining, stats.unknown],
        [1000, "queue", "x86_64", false, {}]
      )
      assert.match(stats.os ?? "", /^#1 SMP/)
      assert.match(stats.id, /^[0-9a-f]{16}$/)
    }
  })
})

describe("statistics of a tube", () => {
  it("are read as 1.12 writes them, where a name of digits is no number", () => {
    assert.strictEqual(keysOf(tube112).length, 14)
    const stats = readable(tube(tube112))
    assert.instanceOf(stats, Stats.TubeStats)
    assert.deepStrictEqual<object>({ ...stats }, plainTube)
  })

  it("are read as 1.13 writes them, with quotes", () => {
    assert.deepStrictEqual<object>({ ...readable(tube(tube113)) }, plainTube)
  })

  it("keep every name there may be, quoted or not", () => {
    const name = fc.stringMatching(/^[A-Za-z0-9+/;.$_()][-A-Za-z0-9+/;.$_()]{0,199}$/)
    fc.assert(fc.property(fc.oneof(name, fc.constantFrom("null", "true", "1e5", "1.5", "0x1")), (name) => {
      assert.strictEqual(readable(tube(tube112.replace("name: 123", () => `name: ${name}`))).name, name)
      assert.strictEqual(readable(tube(tube112.replace("name: 123", () => `name: "${name}"`))).name, name)
    }))
  })

  it("are read as real servers wrote them", () => {
    for (const [, exchanges] of recordings) {
      const document = recordedDocument(exchanges, "stats-tube 123")
      assert.deepStrictEqual(keysOf(document), keysOf(tube112))
      const { currentJobsReady, name, pause, unknown } = readable(tube(document))
      assert.deepStrictEqual<ReadonlyArray<unknown>>([name, currentJobsReady, pause, unknown], ["123", 3, 100, {}])
    }
  })
})

describe("statistics of a job", () => {
  it("are read as 1.12 writes them, where a tube of digits is no number", () => {
    assert.strictEqual(keysOf(job112).length, 14)
    const stats = readable(job(job112))
    assert.instanceOf(stats, Stats.JobStats)
    assert.deepStrictEqual<object>({ ...stats }, plainJob)
  })

  it("are read as 1.13 writes them, with quotes", () => {
    assert.deepStrictEqual<object>({ ...readable(job(job113)) }, plainJob)
  })

  it("have a negative age after a clock was set back, and a negative time left after a lost timer", () => {
    const { age, timeLeft } = readable(job(job112.replace("age: 1", "age: -3600").replace("left: 4", "left: -2")))
    assert.deepStrictEqual([age, timeLeft], [-3600, -2])
  })

  it("know every state, also that of a job that is still being uploaded", () => {
    for (const state of ["ready", "reserved", "delayed", "buried", "invalid"]) {
      assert.strictEqual(readable(job(job112.replace("reserved", state))).state, state)
    }
  })

  it("are read as real servers wrote them", () => {
    for (const [, exchanges] of recordings) {
      for (const [id, state] of [["4", "delayed"], ["1", "reserved"], ["2", "buried"]]) {
        const document = recordedDocument(exchanges, `stats-job ${id}`)
        assert.deepStrictEqual(keysOf(document), keysOf(job112))
        const stats = readable(job(document))
        assert.deepStrictEqual<ReadonlyArray<unknown>>(
          [stats.id, stats.tube, stats.state, stats.unknown],
          [id, "123", state, {}]
        )
      }
    }
  })
})

describe("keys of a later server", () => {
  const more = "current-jobs-lost: 7\nmotto: \"first in: first out\"\ncmd.new: \n"
  const kept: Readonly<Record<string, string>> = {
    "current-jobs-lost": "7",
    motto: "first in: first out",
    "cmd.new": ""
  }

  it("are kept as text", () => {
    assert.deepStrictEqual({ ...readable(server(server112 + more)).unknown }, kept)
    assert.deepStrictEqual({ ...readable(tube(tube112 + more)).unknown }, kept)
    assert.deepStrictEqual({ ...readable(job(job112 + more)).unknown }, kept)
  })

  it("may stand anywhere", () => {
    const stats = readable(job(job112.replace("---\n", `---\n${more}`)))
    assert.deepStrictEqual<object>({ ...stats }, { ...plainJob, unknown: kept })
  })

  it("are never mistaken for what objects have by themselves, or for our own names", () => {
    const stats = readable(job(`${job112}constructor: 1\ntoString: 2\nunknown: 3\ntimeLeft: 4\n`))
    assert.deepStrictEqual<object>(
      { ...stats },
      { ...plainJob, unknown: { constructor: "1", toString: "2", unknown: "3", timeLeft: "4" } }
    )
  })

  it("cannot change what objects inherit", () => {
    const stats = readable(job(`${job112}__proto__: 1\n`))
    assert.strictEqual(Object.getPrototypeOf(stats.unknown), Object.prototype)
    assert.strictEqual(stats.tube, "123")
  })
})

describe("documents that cannot be read", () => {
  const documents: ReadonlyArray<readonly [what: string, read: (document: string) => unknown, document: string]> = [
    ["the server", server, server112],
    ["a tube", tube, tube112],
    ["a job", job, job112]
  ]

  for (const [what, read, document] of documents) {
    it(`every missing key of ${what} is named, but for the three that 1.11 lacks`, () => {
      for (const key of keysOf(document)) {
        const without = document.replace(new RegExp(`^${key}: .*\\n`, "m"), "")
        if (["draining", "os", "platform"].includes(key)) readable(read(without))
        else assert.strictEqual(unreadable(read(without)), `${key}: (missing)`)
      }
    })

    it(`every key of ${what} that comes twice is named`, () => {
      for (const line of document.split("\n").slice(1, -1)) {
        assert.strictEqual(unreadable(read(`${document}${line}\n`)), line)
      }
    })

    it(`every number of ${what} that is none is named`, () => {
      for (const [line, key] of document.matchAll(/^([a-z-]+): -?[\d.]+$/gm)) {
        if (key === undefined || ["name", "tube"].includes(key)) continue
        for (const value of ["", "x", "1e3", "0x1", "1.2.3", "--1", "+1", "NaN", "1 ", "123456789012345678901"]) {
          const spoilt = `${key}: ${value}`
          assert.strictEqual(unreadable(read(document.replace(line, spoilt))), spoilt)
        }
      }
    })

    it(`garbage among the lines of ${what} is named`, () => {
      for (const line of ["garbage", "", "key:value", ": value", ":", "- default", "\"key\""]) {
        assert.strictEqual(unreadable(read(`${document}${line}\n`)), line)
      }
    })

    it(`a document of ${what} without its header or its end is refused by its first line`, () => {
      assert.strictEqual(unreadable(read(document.slice(4))), document.split("\n", 2)[1])
      assert.strictEqual(unreadable(read(document.slice(0, -1))), "---")
      assert.strictEqual(unreadable(read(`\n${document}`)), "")
      assert.strictEqual(unreadable(read("")), "")
      assert.strictEqual(unreadable(read("---")), "---")
    })

    it(`an empty document of ${what} lacks its first key`, () => {
      assert.strictEqual(unreadable(read("---\n")), `${keysOf(document)[0]}: (missing)`)
    })
  }

  it("a time of the processor has a fraction and is not negative", () => {
    for (const value of ["1", "1.", ".5", "-1.000000", "1,5"]) {
      const spoilt = server112.replace("rusage-utime: 0.148125", `rusage-utime: ${value}`)
      assert.strictEqual(unreadable(server(spoilt)), `rusage-utime: ${value}`)
    }
  })

  it("a name, an id or a state that cannot be one is named", () => {
    assert.strictEqual(unreadable(tube(tube112.replace("name: 123", "name: a b"))), "name: a b")
    assert.strictEqual(unreadable(job(job112.replace("tube: 123", "tube: -a"))), "tube: -a")
    assert.strictEqual(unreadable(job(job112.replace("state: reserved", "state: lost"))), "state: lost")
    assert.strictEqual(
      unreadable(job(job112.replace("18446744073709551615", "18446744073709551616"))),
      "id: 18446744073709551616"
    )
  })

  it("of a line, at most 120 characters are told", () => {
    assert.strictEqual(unreadable(job(`${job112}${"x".repeat(5000)}\n`)), "x".repeat(120))
    assert.strictEqual(unreadable(names("y".repeat(5000))), "y".repeat(120))
  })

  it("any bytes are read, or refused, and nothing is thrown", () => {
    const line = fc.oneof(
      fc.fullUnicodeString(),
      fc.constantFrom("id: 1", "name: a", "- a", ": ", "__proto__: 1", ...job112.split("\n"))
    )
    const document = fc.array(line).map((lines) => new TextEncoder().encode(`---\n${lines.join("\n")}\n`))
    fc.assert(fc.property(fc.oneof(document, fc.uint8Array()), (document) => {
      assert.instanceOf(StatsReader.readServerStats(document), StatsReader.Unreadable)
      assert.instanceOf(StatsReader.readTubeStats(document), StatsReader.Unreadable)
      for (const read of [StatsReader.readJobStats(document), StatsReader.readTubeNames(document)]) {
        assert.isTrue(read instanceof StatsReader.Unreadable || read instanceof Stats.JobStats || Array.isArray(read))
      }
    }))
  })
})

describe("lists of tubes", () => {
  it("are names, whatever YAML would make of them", () => {
    assert.deepStrictEqual<ReadonlyArray<string>>(
      readable(names("---\n- default\n- 123\n- null\n- true\n- 1e5\n- 1.5\n- a-\n")),
      ["default", "123", "null", "true", "1e5", "1.5", "a-"]
    )
  })

  it("may be empty", () => {
    assert.deepStrictEqual(readable(names("---\n")), [])
  })

  it("are read as real servers wrote them", () => {
    for (const [, exchanges] of recordings) {
      assert.deepStrictEqual<ReadonlyArray<string>>(
        readable(names(recordedDocument(exchanges, "list-tubes-watched"))),
        ["default", "123", "null", "true", "(a)+b/c;d.e$f_g-"]
      )
    }
  })

  for (
    const line of [
      "",
      "-",
      "- ",
      "-a",
      "- -a",
      "- a b",
      "-  a",
      " - a",
      "- \"a\"",
      "a: b",
      "tube",
      "+ a",
      `- ${"a".repeat(201)}`
    ]
  ) {
    it(`are refused for the line ${JSON.stringify(line.slice(0, 20))}`, () => {
      assert.strictEqual(unreadable(names(`---\n- default\n${line}\n- b\n`)), line.slice(0, 120))
    })
  }

  it("are refused without their header or their end", () => {
    assert.strictEqual(unreadable(names("- default\n")), "- default")
    assert.strictEqual(unreadable(names("---\n- default")), "---")
    assert.strictEqual(unreadable(names("")), "")
  })

  it("of a hundred thousand tubes are read", () => {
    const many = Array.from({ length: 100_000 }, (_, index) => `tube-${index}`)
    const read = readable(names(`---\n- ${many.join("\n- ")}\n`))
    assert.deepStrictEqual([read.length, read[99_999]], [100_000, many[99_999]])
  })
})

describe("statistics as schemas", () => {
  it.effect("can be stored and read again", () =>
    Effect.gen(function*() {
      const stats = readable(server(server112))
      const stored = yield* Schema.encode(Schema.parseJson(Stats.ServerStats))(stats)
      assert.include(stored, "\"rusage-stime\":\"12.000000\"")
      assert.deepStrictEqual(yield* Schema.decode(Schema.parseJson(Stats.ServerStats))(stored), stats)

      const ofTube = readable(tube(tube112))
      const storedTube = yield* Schema.encode(Stats.TubeStats)(ofTube)
      assert.deepStrictEqual(yield* Schema.decode(Stats.TubeStats)(storedTube), ofTube)

      const ofJob = readable(job(job112))
      const storedJob = yield* Schema.encode(Stats.JobStats)(ofJob)
      assert.deepStrictEqual(yield* Schema.decode(Stats.JobStats)(storedJob), ofJob)
    }))
})

it("what stats-job tells is the same in whatever order it is told", () => {
  const lines = [
    "id: 18446744073709551615",
    "tube: \"a;b\"",
    "state: delayed",
    "pri: 4294967295",
    "age: -3",
    "delay: 7",
    "ttr: 60",
    "time-left: -2",
    "file: 1",
    "reserves: 2",
    "timeouts: 3",
    "releases: 4",
    "buries: 5",
    "kicks: 6"
  ]
  const read = (lines: ReadonlyArray<string>) => StatsReader.readJobStats(bytes(`---\n${lines.join("\n")}\n`))
  assert.deepStrictEqual(read(lines), read(lines.toReversed()))
  assert.instanceOf(read(lines), Stats.JobStats)
})

it("what stats-tube tells is the same in whatever order it is told", () => {
  const lines = [
    "name: \"a;b\"",
    "current-jobs-urgent: 1",
    "current-jobs-ready: 2",
    "current-jobs-reserved: 3",
    "current-jobs-delayed: 4",
    "current-jobs-buried: 5",
    "total-jobs: 6",
    "current-using: 7",
    "current-watching: 8",
    "current-waiting: 9",
    "cmd-delete: 10",
    "cmd-pause-tube: 11",
    "pause: 12",
    "pause-time-left: -13"
  ]
  const read = (lines: ReadonlyArray<string>) => StatsReader.readTubeStats(bytes(`---\n${lines.join("\n")}\n`))
  assert.deepStrictEqual(read(lines), read(lines.toReversed()))
  assert.instanceOf(read(lines), Stats.TubeStats)
})
