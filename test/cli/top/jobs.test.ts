/** Tubes and jobs that are opened, and what is done to them, as far as the model goes. */
import { assert, describe, it } from "@effect/vitest"
import type { Message, Model } from "../../../src/cli/top/model.ts"
import { jobId, jobStats, serverStats, tubeName, tubeStats } from "../../support/stats.ts"
import { after, later, listed, press, read, started } from "../../support/top.ts"

const start = after(
  started({ columns: 100, rows: 10 }),
  listed(0, "emails", "reports"),
  read(0, tubeStats("emails", { currentJobsReady: 3, currentJobsBuried: 1 }), tubeStats("reports"))
).model

const found = (search: number, ...ids: ReadonlyArray<number>): Message => ({
  _tag: "JobsFound",
  search,
  jobs: ids.map((id) => ({ stats: jobStats(id, "emails"), preview: `job ${id}`, size: 5 }))
})

const emails = tubeName("emails")

const jobsOf = ({ page }: Model) => page._tag === "TubePage" ? page.jobs : assert.fail(page._tag)

const idsOf = (model: Model) => jobsOf(model).rows.map(({ stats }) => stats.id)

const opened = after(start, ...press("<enter>"), found(1, 9, 8, 7)).model

const ofTubes = (states: ReadonlyArray<"ready" | "delayed" | "buried">) =>
  ({ _tag: "OfTubes", tubes: [emails], states }) as const

const ofIds = (...ids: ReadonlyArray<number>) =>
  ({ _tag: "OfIds", tube: emails, jobs: ids.map((id) => jobStats(id, "emails")), server: undefined }) as const

describe("the page of a tube", () => {
  it("looks for its jobs, in all states or in one, and takes no job of an earlier search", () => {
    const { model, requests } = after(start, ...press("<enter>"))
    assert.deepStrictEqual(requests.map(({ _tag }) => _tag), ["Search"])
    assert.deepInclude(jobsOf(model), { tube: emails, shown: "all", search: 1 })
    const other = after(opened, ...press("<left>"), found(1, 6), found(2, 5)).model
    assert.deepInclude(jobsOf(other), { shown: "buried", search: 2 })
    assert.deepStrictEqual(idsOf(other), [jobId(5)])
    assert.deepInclude(jobsOf(after(other, ...press("<tab>")).model), { shown: "all" })
    assert.deepInclude(jobsOf(after(other, ...press("u")).model), { shown: "buried", search: 3 })
  })

  it("goes back to the tubes, and stops the search", () => {
    const { model, requests } = after(opened, ...press("<escape>"))
    assert.deepStrictEqual([model.page._tag, requests], ["TubesPage", [{ _tag: "StopSearch" }]])
  })

  it("keeps what was found while one of the jobs is open", () => {
    const job = after(opened, ...press("<down><enter>"), found(1, 6))
    assert.deepStrictEqual(job.requests, [{ _tag: "ReadJob", id: jobId(8) }])
    const back = after(job.model, ...press("<escape>"))
    assert.deepStrictEqual(idsOf(back.model), [9, 8, 7, 6].map(jobId))
    assert.deepStrictEqual(back.requests, [{ _tag: "StopReading" }])
  })

  it("opens nothing where nothing is", () => {
    const none = after(started({ columns: 100, rows: 10 }), ...press("<enter>"))
    assert.deepStrictEqual([none.model.page._tag, none.requests], ["TubesPage", []])
    const empty = after(start, ...press("<enter><enter>")).model
    assert.strictEqual(empty.page._tag, "TubePage")
  })
})

describe("the page of a job", () => {
  const open = after(opened, ...press("<enter>")).model
  const job = { stats: jobStats(9, "emails"), size: 100, body: Array.from({ length: 10 }, (_, line) => `line ${line}`) }
  const shown = after(open, { _tag: "JobRead", id: jobId(9), job }).model
  const offset = ({ page }: Model) => page._tag === "JobPage" ? page.offset : assert.fail(page._tag)

  it("scrolls from the first line of the body to the last", () => {
    assert.strictEqual(offset(after(shown, ...press("<down><down><up>")).model), 1)
    assert.strictEqual(offset(after(shown, ...press("<end><down>")).model), 6)
    assert.strictEqual(offset(after(shown, ...press("<page down><home><up>")).model), 0)
  })

  it("shows what is read of its job, and of no other", () => {
    const page = after(shown, { _tag: "JobGone", id: jobId(8) }).model.page
    assert.deepInclude(page, { isGone: false, job })
    assert.deepInclude(after(shown, { _tag: "JobGone", id: jobId(9) }).model.page, { isGone: true, job })
  })

  it("acts on its job", () => {
    const { prompt } = after(shown, ...press("d")).model
    assert.deepInclude(prompt, { text: "Delete job 9 of tube emails on 127.0.0.1:11300?" })
    assert.strictEqual(after(open, ...press("d")).model.notice, "No job is chosen.")
  })
})

describe("an act", () => {
  it("on a tube asks with what the server counts then, and is bound to that", () => {
    const counting = after(start, ...press("k"))
    const act = { _tag: "Kick", target: ofTubes(["buried"]) } as const
    assert.deepStrictEqual(counting.requests, [{ _tag: "Count", act, tubes: [emails] }])
    const stats = [tubeStats("emails", { currentJobsReady: 5, currentJobsBuried: 37 })]
    const asking = after(counting.model, { _tag: "Counted", act, stats })
    assert.deepInclude(asking.model.prompt, { text: "Kick 37 buried jobs of tube emails on 127.0.0.1:11300?" })
    const agreed = after(later(asking.model), ...press("y"))
    assert.deepStrictEqual(agreed.requests, [{
      _tag: "Act",
      act: { _tag: "Kick", target: { ...ofTubes(["buried"]), counts: new Map([[emails, 37]]) } }
    }])
    for (const no of ["n", "<enter>", "<escape>", "x"]) {
      const refused = after(asking.model, ...press(no))
      assert.deepStrictEqual([refused.requests, refused.model.notice], [[], "Nothing was changed."])
    }
  })

  it("on a tube without such jobs says so", () => {
    const act = { _tag: "Delete", target: ofTubes(["ready"]) } as const
    const { notice, prompt } = after(start, { _tag: "Counted", act, stats: [tubeStats("emails")] }).model
    assert.deepStrictEqual([prompt, notice], [undefined, "There is no such job in tube emails."])
  })

  it("is on all tubes that are marked, or all jobs", () => {
    const tubes = after(start, ...press("  p1m30s<enter>"))
    const act = { _tag: "Pause", tubes: [emails, tubeName("reports")], seconds: 90 } as const
    assert.deepStrictEqual(tubes.requests, [{ _tag: "Act", act }])
    const jobs = after(opened, ...press(" <down> b"))
    assert.deepInclude(jobs.model.prompt, { text: "Bury 2 jobs of tube emails on 127.0.0.1:11300?" })
    assert.deepStrictEqual(after(later(jobs.model), ...press("y")).requests, [{
      _tag: "Act",
      act: { _tag: "Bury", target: ofIds(9, 7) }
    }])
    assert.isEmpty([...jobsOf(after(opened, ...press("  <escape>")).model).marked])
  })

  it("that moves asks where to, and takes only the name of a tube", () => {
    const wrong = after(opened, ...press("mbad name<enter>")).model
    assert.match(wrong.notice ?? "", /^"bad name" is no name of a tube/)
    const asking = after(opened, ...press("mbad<ctrl-u>asidf<backspace>e<enter>")).model
    assert.deepInclude(asking.prompt, { text: "Move job 9 of tube emails on 127.0.0.1:11300 to aside?" })
    assert.isUndefined(after(opened, ...press("maside<escape>")).model.prompt)
    assert.match(after(start, ...press("pnever<enter>")).model.notice ?? "", /^"never" is no duration/)
  })

  it("that purges a tube leaves out reserved jobs, and on the page of a tube the states that are not shown", () => {
    const statesOf = (keys: string) =>
      after(start, ...press(keys)).requests.flatMap((request) =>
        request._tag === "Count" && request.act.target._tag === "OfTubes" ? [request.act.target.states] : []
      )
    assert.deepStrictEqual(statesOf("x"), [["ready", "delayed", "buried"]])
    assert.deepStrictEqual(statesOf("<enter>x"), [["ready", "delayed", "buried"]])
    assert.deepStrictEqual(statesOf("<enter><left>x"), [["buried"]])
  })

  it("is not agreed to by a y that came with the key that asks, as of text that is pasted", () => {
    const pasted = after(opened, ...press("dy"))
    assert.deepInclude(pasted.model.prompt, { text: "Delete job 9 of tube emails on 127.0.0.1:11300?" })
    assert.deepStrictEqual(pasted.requests, [])
    assert.deepStrictEqual(after(later(pasted.model), ...press("y")).requests.map(({ _tag }) => _tag), ["Act"])
  })

  it("on jobs has the server process that had them when they were looked for", () => {
    const on = (id: string): Message => ({ _tag: "ServerRead", at: 0, stats: serverStats({ id }) })
    const listed = after(start, on("a"), ...press("<enter>"), found(1, 9), on("b")).model
    const asked = after(listed, ...press("d")).model
    assert.deepInclude(after(later(asked), ...press("y")).requests[0], {
      _tag: "Act",
      act: { _tag: "Delete", target: { ...ofIds(9), server: "a" } }
    })
  })

  it("runs alone, tells how far it is, and is stopped by Escape", () => {
    const asked = after(opened, ...press("d")).model
    const running = after(later(asked), ...press("y"), { _tag: "Acted", done: 1 }).model
    assert.strictEqual(running.acting?.done, 1)
    assert.match(after(running, ...press("d")).model.notice ?? "", /^Esc stops/)
    const stopped = after(running, ...press("<escape>"))
    assert.deepStrictEqual(stopped.requests, [{ _tag: "StopActing" }])
    assert.strictEqual(stopped.model.page._tag, "TubePage")
  })

  it("changes the list if it was done for all of its jobs, and has them looked for otherwise", () => {
    const ended = (act: "Delete" | "Kick" | "Bury", done: number, from = opened) =>
      after(from, { _tag: "ActEnded", act: { _tag: act, target: ofIds(8) }, done, notice: "done" })
    assert.deepStrictEqual(idsOf(ended("Delete", 1).model), [9, 7].map(jobId))
    assert.deepStrictEqual(jobsOf(ended("Bury", 1).model).rows.map(({ stats }) => stats.state), [
      "ready",
      "buried",
      "ready"
    ])
    const ready = after(start, ...press("<enter><right>"), found(2, 9, 8)).model
    assert.deepStrictEqual(idsOf(ended("Bury", 1, ready).model), [jobId(9)])
    assert.deepStrictEqual(idsOf(ended("Kick", 1, ready).model), [9, 8].map(jobId))
    assert.deepStrictEqual(ended("Delete", 0).requests.map(({ _tag }) => _tag), ["Search"])
    assert.strictEqual(ended("Delete", 0).model.notice, "done")
  })
})
