/** Runs the truth table, in a pipe, with --json and in a terminal; and holds that it has every flag of every command. */
import { assert, describe, it } from "@effect/vitest"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import { loadAll } from "../../src/cli/commands.ts"
import { at, startAt, type Surroundings, words } from "../support/cli.ts"
import { eventually, openTo } from "../support/connections.ts"
import { sample } from "../support/edition.ts"
import { targetOf } from "../support/server.ts"
import { describeListening } from "../support/servers.ts"
import { type Row, rows } from "./truthTable.ts"

const all = Object.values(rows).flat()

type Target = Parameters<typeof at>[0]

const fill = (server: Target) =>
  Effect.gen(function*() {
    const connection = yield* openTo(server)
    yield* connection.put(`{"to":"a"}`, { tube: "emails", priority: 10 })
    yield* connection.put(`{"to":"b"}`, { tube: "emails", delay: "1 hour" })
    yield* connection.put(`{"to":"c"}`, { tube: "emails", priority: 2000 })
    yield* connection.bury((yield* connection.reserveJob("3")).id, 2000)
    yield* connection.put("\u001b[31mred", { tube: "images.resize", priority: 1024 })
    return connection
  })

/** Runs a row: to its end, or until it is interrupted. */
const run = (server: Target, { interruptAt, run, stdin = "" }: Row, surroundings: Surroundings = {}) =>
  Effect.gen(function*() {
    if (interruptAt === undefined) return yield* at(server, run, { stdin, ...surroundings })
    const running = yield* startAt(server, run, { stdin, ...surroundings })
    yield* eventually(Effect.sync(() => running.stdout.text), (text) => interruptAt.test(text))
    yield* eventually(openTo(server), () => true).pipe(Effect.scoped)
    yield* running.interrupt
    return { code: 0, stdout: running.stdout.text, stderr: running.stderr.text }
  })

const startEmbedded = Effect.gen(function*() {
  const { url } = yield* NodeEmbeddedServer.listen()
  const server = { target: targetOf(url) }
  return { server, connection: yield* fill(server) }
})

const left = (connection: Effect.Effect.Success<ReturnType<typeof fill>>) =>
  Effect.map(
    connection.stats,
    (stats) => `${stats.currentJobsReady} ${stats.currentJobsDelayed} ${stats.currentJobsBuried}`
  )

describeListening("the truth table", ({ start }) => {
  for (const row of all) {
    it.scopedLive(`beanstalk ${row.run.slice(0, 100)}`, () =>
      Effect.gen(function*() {
        const server = yield* start()
        const connection = yield* fill(server)
        const { code, stderr, stdout } = yield* run(server, row)
        assert.strictEqual(code, row.code, stderr)
        if (row.interruptAt === undefined) assert.match(stdout, row.out ?? /^$/)
        assert.match(stderr, row.err ?? /^/)
        yield* eventually(left(connection), (now) => now === (row.left ?? "2 1 1"))
        // What is in a pipe has no escape codes but those of bodies.
        assert.notInclude(stdout.replace("\u001b[31mred", "") + stderr, "\u001b")
      }))
  }
})

describe("the truth table", () => {
  it.live("has every flag of every command", () =>
    Effect.gen(function*() {
      const groups = yield* Effect.promise(loadAll)
      const missing = groups.flatMap(([, commands]) =>
        commands.flatMap(({ flags, name }) => {
          const used = new Set((rows[name] ?? []).flatMap(({ run }) => words(run.split(" -- ")[0] ?? "")))
          return flags
            .filter((flag) => !used.has(`--${flag.name}`) && !used.has(`-${flag.short}`))
            .map((flag) => `${name} --${flag.name}`)
        })
      )
      assert.deepStrictEqual(missing, [])
    }))

  it.live("has every command", () =>
    Effect.gen(function*() {
      const groups = yield* Effect.promise(loadAll)
      const names = groups.flatMap(([, commands]) => commands.map(({ name }) => name))
      assert.sameMembers(Object.keys(rows), names)
    }))

  for (const row of sample(all, 30)) {
    const json = row.run.includes(" -- ") ? row.run.replace(" -- ", " --json -- ") : `${row.run} --json`
    it.scopedLive(`beanstalk ${json.slice(0, 100)}: one JSON object a line`, () =>
      Effect.gen(function*() {
        const { server } = yield* startEmbedded
        const { code, stderr, stdout } = yield* run(server, { ...row, run: json })
        assert.strictEqual(code, row.code, stderr)
        if (row.run.includes("--raw") || row.run.includes("--help") || row.run.startsWith("completions")) return
        for (const line of stdout.split("\n").filter((line) => line !== "")) {
          if (!row.run.includes("--ids")) assert.isObject(JSON.parse(line))
        }
        if (code === 0) return
        const { error } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "")
        assert.hasAllKeys(error, ["tag", "message"])
      }))
  }

  for (const row of sample(all, 30)) {
    it.scopedLive(`beanstalk ${row.run.slice(0, 100)}: nothing that a terminal obeys`, () =>
      Effect.gen(function*() {
        const { server } = yield* startEmbedded
        const { stderr, stdout } = yield* run(server, row, { terminal: true, env: { NO_COLOR: "1" } })
        const codes = (stdout + stderr).replaceAll("\r\u001b[K", "").match(/[^\P{Cc}\n]/gu) ?? []
        assert.deepStrictEqual(codes, row.run.includes("-0") ? ["\0"] : [])
      }))
  }
})
