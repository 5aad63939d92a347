/** What `beanstalk top` shows, as text. `vitest -u` writes the screens anew. */
import { assert, describe, expect, it } from "@effect/vitest"
import { plain, type Style } from "../../../src/cli/terminal/style.ts"
import { width } from "../../../src/cli/terminal/width.ts"
import { count, rate, sparkline } from "../../../src/cli/top/format.ts"
import type { Message, Model } from "../../../src/cli/top/model.ts"
import { changes } from "../../../src/cli/top/renderer.ts"
import { view } from "../../../src/cli/top/view/view.ts"
import { jobStats, serverStats, tubeName, tubeStats } from "../../support/stats.ts"
import { after, listed, press, read, started } from "../../support/top.ts"

const emails = (currentJobsReady: number, totalJobs: number, cmdDelete: number) =>
  tubeStats("emails", {
    currentJobsReady,
    currentJobsReserved: 16,
    currentJobsBuried: 37,
    currentWatching: 18,
    totalJobs,
    cmdDelete
  })

const others = [
  tubeStats("images.resize", { currentJobsDelayed: 4210, currentWaiting: 2, currentWatching: 2 }),
  tubeStats("reports", { currentJobsReady: 4, pause: 3600, pauseTimeLeft: 1680 }),
  tubeStats(`${"long.".repeat(39)}name`, { currentJobsReady: 12_345_678, currentWatching: 1 })
]

const server = (at: number, totalJobs: number, cmdDelete: number): Message => ({
  _tag: "ServerRead",
  at,
  stats: serverStats({
    currentJobsReady: 15_302,
    currentJobsReserved: 16,
    currentJobsDelayed: 4210,
    currentJobsBuried: 37,
    currentConnections: 41,
    currentWaiting: 16,
    uptime: 12 * 86_400 + 4 * 3600,
    totalJobs,
    cmdDelete
  })
})

const happened: ReadonlyArray<Message> = [
  listed(0, "emails", "images.resize", "reports", others[2]?.name ?? "", "new"),
  server(0, 0, 0),
  read(0, emails(15_250, 0, 0), ...others),
  server(1000, 612, 598),
  read(1000, emails(15_290, 612, 598), ...others),
  read(2000, emails(15_302, 1224, 1196)),
  listed(11_300, "emails", "images.resize", "reports", others[2]?.name ?? "", "new"),
  server(11_400, 6976, 6818)
]

const at = (columns: number, rows: number, ...more: ReadonlyArray<Message>): Model =>
  after(started({ columns, rows }), ...happened, ...more).model

const textOf = (model: Model) => {
  const lines = view(model, plain)
  assert.lengthOf(lines, model.size.rows)
  for (const line of lines) assert.isAtMost(width(line), model.size.columns)
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`
}

const screen = (name: string) => `screens/${name}.txt`

/** Tells which text has which style. */
const tags: Style = {
  bold: (text) => `<b>${text}</b>`,
  dim: (text) => `<dim>${text}</dim>`,
  red: (text) => `<red>${text}</red>`,
  yellow: (text) => `<yellow>${text}</yellow>`,
  inverse: (text) => `<chosen>${text}</chosen>`
}

describe("the screen of beanstalk top", () => {
  for (const [columns, rows] of [[40, 12], [80, 24], [117, 12], [200, 50]] as const) {
    it(`has the tubes on ${columns} columns`, async () => {
      await expect(textOf(at(columns, rows))).toMatchFileSnapshot(screen(`tubes-${columns}`))
    })

    it(`has the keys on ${columns} columns`, async () => {
      await expect(textOf(at(columns, columns < 80 ? 36 : 24, ...press("?")))).toMatchFileSnapshot(
        screen(`help-${columns}`)
      )
    })

    it(`tells on ${columns} columns that the server is lost, and since when`, async () => {
      const lost: Message = { _tag: "ConnectionChanged", state: { _tag: "Lost", reason: "read ECONNRESET" } }
      const model = at(columns, 10, lost, ...press("/e<down>"), { _tag: "Second" })
      await expect(textOf({ ...model, now: model.now + 75_000 })).toMatchFileSnapshot(screen(`lost-${columns}`))
    })
  }

  for (const columns of [40, 80, 200]) {
    const jobs: Message = {
      _tag: "JobsFound",
      search: 1,
      jobs: [
        { stats: jobStats(8812444, "emails", { age: 3780 }), preview: `{"to":"b@example.org","user":43}`, size: 32 },
        {
          stats: jobStats(8812031, "emails", { state: "buried", age: 11_520, reserves: 4, releases: 3, buries: 1 }),
          preview: `{"to":"日本語@example.org"}`,
          size: 31
        },
        { stats: jobStats(12, "emails", { state: "reserved", timeLeft: 45 }), preview: "x".repeat(500), size: 65_535 }
      ]
    }
    const opened = [...press("/emails<enter><enter>"), jobs] as const
    const progress = { asked: 41_200, found: 3, counted: 15_355 }

    it(`has the jobs of a tube on ${columns} columns`, async () => {
      const model = at(columns, 12, ...opened, { _tag: "Searched", search: 1, progress }, ...press(" "))
      await expect(textOf(model)).toMatchFileSnapshot(screen(`tube-${columns}`))
    })

    it(`has a job on ${columns} columns`, async () => {
      const stats = jobStats(8812031, "emails", { state: "buried", age: 11_520, reserves: 4, releases: 3, buries: 1 })
      const body = ["{", `  "to": "日本語日本語日本語日本語日本語日本語@example.org",`, `  "user": 42`, "}"]
      const job = { stats, size: 40, body }
      const model = at(columns, 12, ...opened, ...press("<down><enter>"), { _tag: "JobRead", id: stats.id, job })
      await expect(textOf(model)).toMatchFileSnapshot(screen(`job-${columns}`))
    })
  }

  it("is as large as the terminal, however small or large that is", () => {
    for (const [columns, rows] of [[1, 1], [10, 2], [20, 3], [39, 4], [500, 200]] as const) {
      textOf(at(columns, rows))
      textOf(at(columns, rows, ...press("/some text that is longer than the screen")))
      textOf(at(columns, rows, ...press("?")))
      textOf(at(columns, rows, ...press("<enter>")))
      textOf(at(columns, rows, ...press("m")))
    }
  })

  it("is red where jobs are buried, yellow where nobody works, dim where a tube is paused", () => {
    const lines = view(at(140, 12, ...press("<down>")), tags)
    const of = (name: string) => lines.find((line) => line.includes(` ${name} `)) ?? ""
    assert.match(of("emails"), /<chosen>.*<red> +37<\/red>/)
    assert.match(of("reports"), /^<dim>.*⏸28m.*<yellow> +4<\/yellow>.*<yellow> +no worker<\/yellow><\/dim>$/)
    assert.notInclude(of("images.resize"), "<")
    assert.include(lines.join(), "<red>buried 37</red>")
  })

  it("says when there is no answer, or nothing is read, or the server drains", () => {
    const model = at(80, 10)
    assert.notInclude(textOf({ ...model, now: model.now + 2900 }), "NO ANSWER")
    assert.include(textOf({ ...model, now: model.now + 12_000 }), "NO ANSWER for 12s")
    assert.include(textOf(at(80, 10, ...press("f"))), "FROZEN")
    assert.include(
      textOf(at(117, 10, { _tag: "ServerRead", at: 0, stats: serverStats({ draining: true }) })),
      "DRAINING"
    )
  })

  it("cuts no question, however long the name of the tube is", () => {
    const long = others[2]?.name ?? ""
    const act = { _tag: "Delete", target: { _tag: "OfTubes", tubes: [tubeName(long)], states: ["ready"] } } as const
    const text = textOf(at(40, 16, { _tag: "Counted", act, stats: [tubeStats(long, { currentJobsReady: 5 })] }))
    const withoutSpaces = (text: string) => text.replaceAll(/\s/g, "")
    const question = `Delete 5 ready jobs of tube ${long} on 127.0.0.1:11300? [y/N]`
    assert.include(withoutSpaces(text), withoutSpaces(question))
  })

  it("obeys no control character of the server or of what is typed", () => {
    const hostile = serverStats({ version: "1\u001b]0;x\u0007", hostname: "\u001b[31m" })
    const text = textOf(at(200, 10, { _tag: "ServerRead", at: 12_000, stats: hostile }, ...press("/\u009b\u202e")))
    assert.notMatch(text.replaceAll("\n", ""), /\p{Cc}|\u202e/u)
    assert.include(text, "1\\x1b]0;x\\x07")
  })

  it("bears a server that lies in its counts", () => {
    const numbers = [-1, Number("99999999999999999999"), 0, Number.MAX_SAFE_INTEGER]
    const lies = numbers.map((number, index) =>
      tubeStats(`t${index}`, {
        currentJobsReady: number,
        currentJobsBuried: number,
        totalJobs: number,
        cmdDelete: -number,
        pause: number,
        pauseTimeLeft: number,
        currentWatching: number
      })
    )
    for (const columns of [40, 80, 200]) {
      textOf(at(columns, 10, read(20_000, ...lies), read(21_000, ...lies.toReversed())))
    }
  })
})

describe("numbers of beanstalk top", () => {
  it("fit into their columns", () => {
    const samples = [0, 999, 15_302, 999_999, 1_234_567, 9_999_999, 99_999_999, 999_999_999, 1e15, 1e20]
    assert.deepStrictEqual(samples.map((number) => count(number, 7)), [
      "0",
      "999",
      "15,302",
      "999,999",
      "1.23M",
      "9.99M",
      "99.9M",
      "999M",
      "1.00P",
      "100E"
    ])
    for (const number of [...samples, 99_999.9, 123_456, 0.04]) assert.isAtMost(rate(number).length, 7)
    assert.isAtMost(count(-1e20, 7).length, 7)
  })

  it("are bars between the least and the largest", () => {
    assert.strictEqual(sparkline([0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█")
    assert.strictEqual(sparkline([4, 4, 4]), "▁▁▁")
  })
})

describe("what is written to the screen", () => {
  const synchronized = (text: string) => `\u001b[?2026h${text}\u001b[?2026l`

  it("is everything at first, what has changed then, and nothing if that is nothing", () => {
    const all = synchronized("\u001b[2J\u001b[1;1H\u001b[2Ka\u001b[2;1H\u001b[2Kb")
    assert.strictEqual(changes(undefined, ["a", "b"]), all)
    assert.strictEqual(changes(["a", "b"], ["a", "c"]), synchronized("\u001b[2;1H\u001b[2Kc"))
    assert.strictEqual(changes(["a", "b"], ["a", "b"]), "")
  })
})
