/** `beanstalk top` as a whole, at an embedded server and a terminal of the test, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, VirtualClock } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { plain } from "../../../src/cli/terminal/style.ts"
import { carryOut } from "../../../src/cli/top/carryOut.ts"
import type { Message } from "../../../src/cli/top/model.ts"
import { top } from "../../../src/cli/top/top.ts"
import { jobId, jobStats, tubeName } from "../../support/stats.ts"
import { ScreenOfTest } from "../../support/top.ts"

const environment = BeanstalkClient.layer({ offlineTimeout: "5 seconds" }).pipe(
  Layer.provideMerge(EmbeddedServer.layer()),
  Layer.provideMerge(VirtualClock.layer()),
  Layer.provideMerge(Logger.minimumLogLevel(LogLevel.None))
)

/** Starts it, in a terminal of this size. */
const open = (columns: number, rows: number) =>
  Effect.gen(function*() {
    const client = yield* BeanstalkClient.BeanstalkClient
    const server = yield* EmbeddedServer.EmbeddedServer
    const screen = new ScreenOfTest({ columns, rows })
    const notes: Array<string> = []
    const fiber = yield* Effect.forkScoped(top({
      client,
      fullScreen: Effect.succeed(screen.fullScreen),
      matches: () => true,
      pace: 1000,
      style: plain,
      note: (line) => Effect.sync(() => void notes.push(line))
    }))
    /** What is on the screen a moment later. */
    const press = (text: string) =>
      Effect.as(Effect.zipRight(screen.type(text), Effect.sleep("300 millis")), screen).pipe(
        Effect.map(({ text }) => text)
      )
    return { client, server, screen, fiber, press, notes }
  })

const rowOf = (screen: { readonly text: string }, name: string) =>
  screen.text.split("\n").find((line) => line.includes(` ${name} `))?.replace(/ +/g, " ") ?? ""

describe("beanstalk top", () => {
  it.scoped("shows the jobs of each tube and what is put and deleted per second, and writes nothing while nothing changes", () =>
    Effect.gen(function*() {
      const { client, fiber, press, screen } = yield* open(80, 10)
      yield* client.put("quiet", "x", { delay: "1 day" })
      const busy = yield* client.put("busy", "x").pipe(
        Effect.flatMap((id) => client.delete(id)),
        Effect.zipRight(client.put("busy", "x")),
        Effect.repeat(Schedule.spaced("100 millis")),
        Effect.fork
      )
      yield* Effect.sleep("5500 millis")
      assert.match(rowOf(screen, "busy"), /^> busy \d\d 0 0 0 (19|20)\.\d (9|10)\.\d 0$/)
      assert.match(rowOf(screen, "quiet"), /^ quiet 0 0 1 0 0\.0 0\.0 0$/)
      yield* Fiber.interrupt(busy)
      yield* Effect.sleep("12 seconds")
      const { written } = screen
      yield* Effect.sleep("5 seconds")
      assert.isAtMost(screen.written - written, 5 * 200, "only the uptime of the server changes")
      yield* press("q")
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(environment)))

  it.scoped("reads nothing while it is frozen", () =>
    Effect.gen(function*() {
      const { client, press, screen } = yield* open(80, 10)
      yield* Effect.sleep("2 seconds")
      assert.include(yield* press("f"), "FROZEN")
      const before = (yield* client.stats).cmdStatsTube
      yield* client.put("new", "x")
      yield* Effect.sleep("1 minute")
      assert.strictEqual((yield* client.stats).cmdStatsTube, before)
      assert.strictEqual(rowOf(screen, "new"), "")
      yield* press("f")
      yield* Effect.sleep("2 seconds")
      assert.match(rowOf(screen, "new"), /new 1 /)
    }).pipe(Effect.provide(environment)))

  it.scoped("asks for the tubes on screen at the pace, and shows those that were made since", () =>
    Effect.gen(function*() {
      const { client, press, screen } = yield* open(80, 6)
      yield* Effect.forEach(Array.from({ length: 20 }, (_, index) => `t${index}`), (tube) => client.put(tube, "x"))
      yield* press("----")
      assert.include(screen.text, "every 30s")
      yield* Effect.sleep("60 seconds")
      const before = (yield* client.stats).cmdStatsTube
      yield* Effect.sleep("90 seconds")
      assert.strictEqual((yield* client.stats).cmdStatsTube - before, 3 * 21)
      assert.include(screen.text, "> t0 ")
      assert.include(yield* press("/t1\r"), "> t1 ")
      assert.include(yield* press("\u001b[B"), "> t10 ")
    }).pipe(Effect.provide(environment)))

  it.scoped("tells that the server is lost, keeps its numbers, and comes back by itself", () =>
    Effect.gen(function*() {
      const { client, screen, server } = yield* open(80, 10)
      yield* client.put("emails", "x")
      yield* Effect.sleep("3 seconds")
      yield* server.inject(EmbeddedServer.Fault.Refuse())
      yield* server.inject(EmbeddedServer.Fault.Cut())
      yield* Effect.sleep("30 seconds")
      assert.match(screen.text, /^beanstalkd 1\.1\d {2}memory {2}LOST {2}for (29|30)s: .*; trying again/)
      assert.match(rowOf(screen, "emails"), /emails 1 /)
      yield* server.heal
      yield* Effect.sleep("7 seconds")
      assert.notInclude(screen.text, "LOST")
      yield* client.put("emails", "x")
      yield* Effect.sleep("2 seconds")
      assert.match(rowOf(screen, "emails"), /emails 2 /)
    }).pipe(Effect.provide(environment)))

  it.scoped("tells that the server does not answer, and until when it has answered", () =>
    Effect.gen(function*() {
      const { screen, server } = yield* open(80, 10)
      yield* Effect.sleep("3 seconds")
      yield* server.inject(EmbeddedServer.Fault.Silence())
      yield* Effect.sleep("7 seconds")
      assert.match(screen.text, /NO ANSWER for \ds/)
      yield* server.heal
      yield* Effect.sleep("30 seconds")
      assert.notMatch(screen.text, /NO ANSWER|LOST/)
    }).pipe(Effect.provide(environment)))

  it.scoped("fits into a terminal whose size changes, and draws all of it again after others have written", () =>
    Effect.gen(function*() {
      const { client, screen } = yield* open(200, 50)
      yield* client.put("emails", "x")
      yield* Effect.sleep("2 seconds")
      for (const [columns, rows] of [[100, 20], [60, 30], [40, 8]] as const) yield* screen.resize({ columns, rows })
      yield* Effect.sleep("100 millis")
      assert.strictEqual(screen.text.split("\n").length, 8)
      assert.isAtMost(Math.max(...screen.text.split("\n").map((line) => line.length)), 40)
      const { text } = screen
      yield* screen.fullScreen.write("\u001b[2J")
      assert.notStrictEqual(screen.text, text)
      yield* screen.type("\f")
      yield* Effect.sleep("100 millis")
      assert.strictEqual(screen.text.split("\n").at(-1), text.split("\n").at(-1))
    }).pipe(Effect.provide(environment)))

  it.scoped("leaves Ctrl-C and Ctrl-Z to signals, and ends with its terminal", () =>
    Effect.gen(function*() {
      const { fiber, press, screen } = yield* open(80, 10)
      yield* press("\u001a\u0003")
      assert.deepStrictEqual(screen.raised, ["SIGTSTP", "SIGINT"])
      yield* screen.close
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(environment)))

  it.scoped("ends when what reads its keys has died: nobody could end it by a key", () =>
    Effect.gen(function*() {
      const { screen } = yield* open(80, 10)
      const client = yield* BeanstalkClient.BeanstalkClient
      const exit = yield* Effect.exit(top({
        client,
        fullScreen: Effect.succeed({ ...screen.fullScreen, input: Stream.dieMessage("the keys") }),
        matches: () => true,
        pace: 1000,
        style: plain,
        note: () => Effect.void
      }))
      assert.match(String(exit), /the keys/)
    }).pipe(Effect.provide(environment)))

  it.scoped("acts on no ids that another process of the server has given", () =>
    Effect.gen(function*() {
      const client = yield* BeanstalkClient.BeanstalkClient
      const server = yield* EmbeddedServer.EmbeddedServer
      yield* client.put("emails", "x")
      const told: Array<Message> = []
      const tell = (message: Message) => Effect.sync(() => void told.push(message))
      const { id } = yield* client.ready
      const remove = (server: string) =>
        carryOut({ client, tell }, {
          _tag: "Delete",
          target: { _tag: "OfIds", tube: tubeName("emails"), jobs: [jobStats(1, "emails")], server }
        })
      yield* remove("the one before")
      assert.match(JSON.stringify(told.at(-1)), /Stopped: no jobs deleted\. The server was restarted meanwhile/)
      assert.strictEqual((yield* server.jobs).length, 1)
      yield* remove(id)
      assert.strictEqual((yield* server.jobs).length, 0)
    }).pipe(Effect.provide(environment)))

  it.scoped("opens a tube and a job, acts on it, and goes back", () =>
    Effect.gen(function*() {
      const { client, press, screen, server } = yield* open(100, 12)
      yield* client.put("emails", `{"to":"\u001b[31ma@example.org"}`)
      yield* client.put("emails", "second", { delay: "1 hour" })
      yield* client.put("other", "third")
      yield* Effect.sleep("2 seconds")
      yield* press("/em\r\r")
      yield* Effect.sleep("2 seconds")
      assert.match(screen.text, /^ emails +in 0\.0\/s +out 0\.0\/s/m)
      assert.match(screen.text, /\[all 2] +ready 1 +reserved 0 +delayed 1 +buried 0 +2 found, all$/m)
      assert.match(screen.text, /^> 2 +delayed .* 6 {2}second$/m)
      yield* press("\u001b[B\r")
      yield* Effect.sleep("1 second")
      assert.match(screen.text, /^job 1 of emails: ready$/m)
      assert.include(screen.text, `{"to":"\\x1b[31ma@example.org"}`)
      assert.include(yield* press("b"), "Bury job 1 of tube emails on memory? [y/N]")
      yield* press("y")
      yield* Effect.sleep("2 seconds")
      assert.match(screen.text, /^job 1 of emails: buried$/m)
      yield* press("\u001b")
      assert.match(yield* press(""), /^> 1 +buried/m)
      yield* press("x")
      yield* press("y")
      yield* Effect.sleep("2 seconds")
      assert.include(screen.text, "1 delayed and 1 buried jobs deleted.")
      assert.include(screen.text, "  no jobs")
      assert.deepStrictEqual((yield* server.jobs).map(({ tube }) => String(tube)), ["other"])
    }).pipe(Effect.provide(environment)))

  it.scoped("looks for more jobs only while one scrolls", () =>
    Effect.gen(function*() {
      const { client, press, screen } = yield* open(120, 10)
      yield* Effect.forEach(Array.from({ length: 3000 }), () => client.put("emails", "x"), { concurrency: 100 })
      yield* Effect.sleep("1 second")
      yield* press("/em\r\r")
      yield* Effect.sleep("1 minute")
      const found = () => Number(/([\d,]+) found/.exec(screen.text)?.[1]?.replace(",", ""))
      const few = found()
      assert.isBelow(few, 1024)
      assert.isAbove(few, 10)
      for (let pages = 0; pages < 20; pages += 1) yield* press("\u001b[F")
      assert.isAbove(found(), few)
      yield* press("\u001b[F".repeat(200))
      yield* Effect.sleep("10 seconds")
      for (let pages = 0; pages < 100 && !screen.text.includes("found, all"); pages += 1) yield* press("\u001b[F")
      assert.match(screen.text, /3,000 found, all/)
    }).pipe(Effect.provide(environment)))

  it.scoped("kicks, pauses and moves the jobs of a tube, and stops when it is told to", () =>
    Effect.gen(function*() {
      const { client, press, screen } = yield* open(100, 12)
      yield* Effect.forEach(Array.from({ length: 5 }), () => client.put("emails", "x"))
      yield* client.buryAll([{ id: jobId(1), pri: 1024, state: "ready", timeLeft: 0 }])
      yield* Effect.sleep("2 seconds")
      yield* press("/em\r")
      yield* press("k")
      assert.include(screen.text, "Kick 1 buried job of tube emails on memory? [y/N]")
      assert.include(yield* press("y"), "1 buried job kicked.")
      yield* press("p90\r")
      assert.include(screen.text, "Paused tube emails for 90s.")
      yield* Effect.sleep("2 seconds")
      assert.match(screen.text, /emails ⏸\d\ds/)
      yield* press("maside\r")
      assert.include(screen.text, "Move 5 ready jobs of tube emails on memory to aside? [y/N]")
      assert.include(yield* press("n"), "Nothing was changed.")
      yield* press("maside\r")
      yield* press("y")
      yield* Effect.sleep("2 seconds")
      assert.strictEqual((yield* client.statsTube("aside")).currentJobsReady, 5)
    }).pipe(Effect.provide(environment)))

  it.scoped("says how far an act came that was under way when it was quit or interrupted", () =>
    Effect.gen(function*() {
      for (const end of ["quit", "interrupt"]) {
        const { client, fiber, notes, press, server } = yield* open(100, 12)
        yield* Effect.forEach(Array.from({ length: 2000 }), () => client.put(end, "x"), { concurrency: 100 })
        yield* Effect.sleep("2 seconds")
        yield* press(`/${end}\r`)
        yield* press("x")
        yield* server.inject(EmbeddedServer.Fault.Delay({ duration: "1 second" }))
        yield* press("y")
        yield* Effect.sleep("5 seconds")
        yield* end === "quit" ? press("q") : Fiber.interrupt(fiber)
        yield* Fiber.await(fiber)
        yield* server.heal
        const [, deleted] = /^Stopped: ([\d,]+) ready jobs deleted\.$/.exec(notes.join()) ?? []
        assert.isDefined(deleted, notes.join())
        const { currentJobsReady } = yield* client.statsTube(end)
        assert.strictEqual(currentJobsReady, 2000 - Number(deleted?.replace(",", "")))
      }
    }).pipe(Effect.provide(environment)))
})
