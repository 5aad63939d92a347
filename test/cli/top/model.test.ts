/** What `beanstalk top` does with what is read and pressed. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkError } from "effect-beanstalk"
import { onScreen } from "../../../src/cli/top/list.ts"
import type { Model } from "../../../src/cli/top/model.ts"
import { serverStats, tubeName, tubeStats } from "../../support/stats.ts"
import { after, listed, press, read, started } from "../../support/top.ts"

const start = started({ columns: 80, rows: 7 })

const namesOf = ({ tubes }: Model) => tubes.rows.map(({ name }) => name)

const shown = ({ tubes }: Model) => onScreen(tubes).map(({ name }) => name)

const chosen = ({ tubes: { cursor, rows } }: Model) => rows[cursor.index]?.name

const ratesOf = ({ tubes }: Model, name: string) => tubes.tracked.get(tubeName(name))?.rates

const ready = (name: string, currentJobsReady: number) => tubeStats(name, { currentJobsReady })

describe("beanstalk top", () => {
  it("counts rates over the time between two samples of a tube, whenever they come", () => {
    const { model } = after(
      start,
      read(0, tubeStats("a", { totalJobs: 100, cmdDelete: 10 }), tubeStats("b", { totalJobs: 5 })),
      read(2500, tubeStats("a", { totalJobs: 150, cmdDelete: 15 })),
      read(10_000, tubeStats("b", { totalJobs: 6 }))
    )
    assert.deepInclude(ratesOf(model, "a"), { in: 20, out: 2 })
    assert.deepInclude(ratesOf(model, "b"), { in: 0.1, out: 0 })
  })

  it("counts from zero where a total is smaller than before: the tube is new, or the server", () => {
    const { model } = after(
      start,
      read(0, tubeStats("a", { totalJobs: 100 })),
      read(1000, tubeStats("a", { totalJobs: 7 }))
    )
    assert.deepInclude(ratesOf(model, "a"), { in: 7, out: 0 })
  })

  it("counts no rate over a moment, but shows the numbers, and counts over the whole time then", () => {
    const moment = after(
      start,
      read(0, tubeStats("a")),
      read(1000, tubeStats("a", { totalJobs: 10 })),
      read(1010, tubeStats("a", { totalJobs: 11, currentJobsReady: 1 }))
    ).model
    assert.deepInclude(ratesOf(moment, "a"), { in: 10 })
    assert.strictEqual(moment.tubes.rows[0]?.measured?.stats.currentJobsReady, 1)
    assert.deepInclude(ratesOf(after(moment, read(2000, tubeStats("a", { totalJobs: 15 }))).model, "a"), { in: 5 })
  })

  it("sorts by each column, then by name; tubes that were not read yet are the last", () => {
    const before = after(
      start,
      listed(0, "unread", "b", "a", "c"),
      read(0, ready("b", 1), ready("a", 1), tubeStats("c", { currentJobsReady: 2, currentWatching: 1 }))
    ).model
    assert.deepStrictEqual(namesOf(before), ["c", "a", "b", "unread"].map(tubeName))
    assert.deepStrictEqual(namesOf(after(before, ...press("r")).model), ["a", "b", "c", "unread"].map(tubeName))
    const sorts = Array.from({ length: 9 }, (_, presses) => after(before, ...press("s".repeat(presses))).model)
    assert.deepStrictEqual(
      sorts.map(({ tubes }) => tubes.sort),
      ["ready", "reserved", "delayed", "buried", "in", "out", "waiting", "workers", "name"]
    )
    assert.deepStrictEqual(namesOf(sorts[7] ?? before), ["c", "a", "b", "unread"].map(tubeName))
    assert.deepStrictEqual(namesOf(sorts[8] ?? before), ["a", "b", "c", "unread"].map(tubeName))
  })

  it("stays at the top until it is moved, and on its tube from then on, until that is gone", () => {
    const before = after(start, read(0, ready("a", 5), ready("b", 4), ready("c", 3), ready("d", 2))).model
    const swapped = read(1000, ready("a", 1), ready("b", 9))
    assert.strictEqual(chosen(before), "a")
    assert.strictEqual(chosen(after(before, swapped).model), "b")
    const moved = after(before, ...press("<down><up>"), swapped).model
    assert.strictEqual(chosen(moved), "a")
    assert.include(shown(moved), tubeName("a"))
    assert.strictEqual(chosen(after(moved, listed(2000, "b", "c", "d")).model), "d")
    assert.strictEqual(chosen(after(moved, ...press("<home>")).model), "b")
  })

  it("scrolls no further than the list goes, and keeps the cursor on a smaller screen", () => {
    const names = Array.from({ length: 10 }, (_, index) => `t${index}`)
    const before = after(start, read(0, ...names.map((name) => tubeStats(name)))).model
    assert.deepStrictEqual(shown(before), ["t0", "t1", "t2"].map(tubeName))
    const end = after(before, ...press("<end>")).model
    assert.deepStrictEqual(shown(end), ["t7", "t8", "t9"].map(tubeName))
    assert.strictEqual(chosen(after(end, ...press("<down><page down>")).model), "t9")
    const small = after(end, ...press("<up>"), { _tag: "Resized", size: { columns: 80, rows: 5 } })
    assert.deepStrictEqual(shown(small.model), [tubeName("t8")])
    assert.deepStrictEqual(small.requests, [{ _tag: "Redraw" }])
    assert.strictEqual(chosen(after(end, ...press("<page up><page up><page up><page up><page up>")).model), "t0")
  })

  it("filters by a part of the name or a pattern, as it is typed; Escape brings back what was before", () => {
    const before = after(start, listed(0, "emails", "images.big", "images.small")).model
    const typing = after(before, ...press("/IMq<backspace>")).model
    assert.deepStrictEqual(namesOf(typing), ["images.big", "images.small"].map(tubeName))
    assert.isFalse(typing.hasEnded)
    assert.deepStrictEqual(namesOf(after(typing, ...press("<escape>")).model), namesOf(before))
    const kept = after(typing, ...press("<ctrl-u>*.b?g<enter>")).model
    assert.deepStrictEqual([kept.prompt, namesOf(kept)], [undefined, [tubeName("images.big")]])
    assert.deepStrictEqual(namesOf(after(kept, ...press("/x<escape>")).model), [tubeName("images.big")])
    assert.deepStrictEqual(namesOf(after(kept, ...press("<escape>")).model), namesOf(before))
    assert.deepStrictEqual(namesOf(after(before, ...press("/([<enter>")).model), [])
    assert.deepStrictEqual(namesOf(after(before, ...press("/[z-a]*<enter>")).model), [])
  })

  it("is kept busy by no filter, however it is typed", () => {
    const before = after(start, listed(0, "a".repeat(200), "b")).model
    const many = after(before, ...press(`/${"*a".repeat(99)}*b`)).model
    assert.deepStrictEqual(namesOf(many), [])
    const long = after(before, ...press(`/${"x".repeat(1000)}`)).model.prompt
    assert.deepInclude(long, { text: "x".repeat(200) })
  })

  it("has paces from 100 ms to a minute, freezes, and shows help until the next key", () => {
    const paces = (keys: string) => after(start, ...press(keys)).model.pace
    assert.deepStrictEqual([paces("+"), paces("-"), paces("++++++++"), paces("--------")], [500, 2000, 100, 60_000])
    assert.strictEqual(after(started({ columns: 80, rows: 7 }, 700), ...press("+")).model.pace, 500)
    assert.isTrue(after(start, ...press("f")).model.isFrozen)
    assert.isFalse(after(start, ...press("ff")).model.isFrozen)
    assert.isTrue(after(start, ...press("?")).model.isHelpShown)
    const back = after(start, ...press("?q")).model
    assert.deepStrictEqual([back.isHelpShown, back.hasEnded], [false, false])
  })

  it("ends with q or with its terminal; Ctrl-C and Ctrl-Z are signals, whatever is shown", () => {
    assert.isTrue(after(start, ...press("q")).model.hasEnded)
    assert.isTrue(after(start, { _tag: "InputEnded" }).model.hasEnded)
    for (const before of ["", "?", "/"]) {
      assert.deepStrictEqual(after(start, ...press(`${before}<ctrl-c><ctrl-z>`)).requests, [
        { _tag: "Raise", signal: "SIGINT" },
        { _tag: "Raise", signal: "SIGTSTP" }
      ])
    }
    assert.deepStrictEqual(after(start, ...press("<ctrl-l>")).requests, [{ _tag: "Redraw" }])
  })

  it("keeps the numbers of a server that is lost, tells why, and forgets it with the next answer", () => {
    const before = after(start, { _tag: "ServerRead", at: 0, stats: serverStats() }, read(0, ready("a", 5))).model
    const error = new BeanstalkError.ConnectFailed({
      address: "127.0.0.1:11300",
      reason: "Unreachable",
      detail: "connect ECONNREFUSED 127.0.0.1:11300"
    })
    const lost = after(
      before,
      { _tag: "ConnectionChanged", state: { _tag: "Lost", reason: "read ECONNRESET" } },
      { _tag: "NothingRead", at: 5000, error }
    ).model
    assert.deepStrictEqual(lost.link.lost, { at: 0, why: "connection refused" })
    assert.strictEqual(lost.tubes.rows[0]?.measured?.stats.currentJobsReady, 5)
    assert.isUndefined(after(lost, read(6000, ready("a", 4))).model.link.lost)
  })
})
