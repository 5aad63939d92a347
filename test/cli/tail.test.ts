/** `beanstalk tail` */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { at, startAt } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import { describeListening } from "../support/servers.ts"

describeListening("beanstalk tail", ({ start }) => {
  it.scopedLive("shows what is put from then on into the tubes, and reserves nothing", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      yield* connection.put("before", { tube: "emails" })
      const running = yield* startAt(server, "tail emails 'im*' --json")
      yield* eventually(connection.stats, ({ cmdStatsTube }) => cmdStatsTube > 2)
      yield* connection.put("one", { tube: "emails" })
      yield* connection.put("another's", { tube: "other" })
      yield* connection.put("\u001b[2J", { tube: "images", delay: "1 hour" })
      const shown = Effect.sync(() => running.stdout.text.split("\n").slice(0, -1).map((line) => JSON.parse(line)))
      const jobs = yield* eventually(shown, ({ length }) => length === 2)
      assert.deepStrictEqual(jobs.map(({ body, state, tube }) => [tube, state, body]), [
        ["emails", "ready", "one"],
        ["images", "delayed", "\u001b[2J"]
      ])
      yield* running.interrupt
      assert.strictEqual(running.stderr.text, "")
      assert.strictEqual((yield* connection.stats).cmdReserve, 0)
      assert.strictEqual((yield* at(server, "tubes --json effect-beanstalk/newest")).code, 1)
    }))

  it.scopedLive("says how many jobs were gone before it looked at them", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server, { tube: "emails", watch: ["emails"] })
      const running = yield* startAt(server, "tail emails")
      yield* eventually(connection.stats, ({ cmdStatsTube }) => cmdStatsTube > 2)
      for (const body of ["one stays", "another stays"]) {
        // Both commands leave in one write, so that nothing comes between them.
        yield* Effect.all(
          [connection.put("x"), Effect.flatMap(connection.reserve, ({ id }) => connection.delete(id))],
          {
            concurrency: "unbounded"
          }
        )
        yield* connection.put(body, { priority: 2000 })
        yield* eventually(Effect.sync(() => running.stdout.text), (text) => text.includes(body))
      }
      yield* running.interrupt
      assert.strictEqual(running.stderr.text, "2 jobs were gone before a look at them.\n")
    }))
})
