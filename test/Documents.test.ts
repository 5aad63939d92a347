/**
 * Holds the code in the README, in `docs/` and in the docstrings: each block is a file that compiles by itself. Tests
 * in the README and in `docs/` are run; a program is run against an embedded server until it has printed what the block of text
 * behind it says.
 */
import { assert, describe, it } from "@effect/vitest"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { format } from "node:util"
import { root } from "./support/bundled.ts"
import { takeProgram } from "./support/capturedPlatform.ts"
import { type Block, blocksOf, docstringBlocksOf, documents, modules } from "./support/documents.ts"

const blocks = documents.flatMap(blocksOf)

const titleOf = ({ document, line }: Block) => `${document}:${line}`

/** The path of a block as a file, inside the project, so that its imports are found. */
const fileOf = (folder: string, { document, line }: Block) =>
  join(root, ".documents", folder, `${document.replaceAll(/[/.]/g, "-")}-${line}.ts`)

const writeBlocks = (folder: string, blocks: ReadonlyArray<Block>, change: (code: string) => string) => {
  rmSync(join(root, ".documents", folder), { recursive: true, force: true })
  mkdirSync(join(root, ".documents", folder), { recursive: true })
  for (const block of blocks) writeFileSync(fileOf(folder, block), change(block.code))
}

describe("the code in the documents", () => {
  it.live("compiles, each block by itself", () =>
    Effect.gen(function*() {
      writeBlocks("compiled", [...blocks, ...modules.flatMap(docstringBlocksOf)], (code) => code)
      const config = join(root, ".documents/tsconfig.json")
      writeFileSync(config, JSON.stringify({ extends: "../tsconfig.json", include: ["compiled"] }))
      const output = yield* Effect.async<string>((resume) => {
        execFile(join(root, "node_modules/.bin/tsc"), ["-p", config], { cwd: root }, (error, stdout, stderr) =>
          resume(Effect.succeed(error === null ? "" : stdout + stderr)))
      })
      assert.strictEqual(output, "")
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------------------------------------------------

writeBlocks(
  "run",
  blocks,
  (code) => code.replaceAll("\"@effect/platform-node\"", "\"../../test/support/capturedPlatform.ts\"")
)

/** A Console that keeps what is printed, and tells when that is as many lines as are expected. */
const printer = (expected: number) =>
  Effect.gen(function*() {
    const console = yield* Console.consoleWith(Effect.succeed)
    const done = yield* Deferred.make<void>()
    const lines: Array<string> = []
    const print = (...args: ReadonlyArray<unknown>) => {
      lines.push(...format(...args).split("\n"))
      if (lines.length >= expected) Deferred.unsafeDone(done, Effect.void)
    }
    const printing: Console.Console = {
      ...console,
      log: (...args) => Effect.sync(() => print(...args)),
      error: (...args) => Effect.sync(() => print(...args)),
      unsafe: { ...console.unsafe, log: print, error: print }
    }
    return { console: printing, lines, done: Deferred.await(done) }
  })

/** Runs a program until it ends, or has printed all that is expected, and succeeds with what it printed. */
const run = (program: Effect.Effect<unknown, unknown>, prints: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { url } = yield* NodeEmbeddedServer.listen()
    const { console, done, lines } = yield* printer(prints.length)
    const fiber = yield* program.pipe(
      Effect.withConsole(console),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["BEANSTALKD_URL", url]]))),
      Effect.provide(Logger.remove(Logger.defaultLogger)),
      Effect.fork
    )
    yield* Effect.raceFirst(Fiber.await(fiber), prints.length === 0 ? Effect.never : done)
    const exit = yield* Fiber.interrupt(fiber)
    assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
    return lines
  }).pipe(Effect.scoped)

describe("each block of code in the documents", () => {
  for (const block of blocks) {
    describe(titleOf(block), async () => {
      // A file of tests registers them when it is imported.
      await import(fileOf("run", block))
      if (block.code.includes("@effect/vitest")) return
      // A file without a program is a module: that it can be imported is all that it shows.
      const program = takeProgram() ?? Effect.void
      it.live("prints what is shown", () =>
        Effect.map(run(program, block.prints ?? []), (lines) => assert.deepStrictEqual(lines, block.prints ?? [])))
    })
  }
})

// ---------------------------------------------------------------------------------------------------------------------
// links
// ---------------------------------------------------------------------------------------------------------------------

/** The anchors that GitHub makes of the headings of a document. */
const anchorsOf = (text: string) =>
  Array.from(
    text.matchAll(/^#+ (.*)$/gm),
    ([, heading = ""]) => heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  )

/** The targets of its links, inline or by reference. */
const linksOf = (text: string) =>
  Array.from(text.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm), ([, inline, defined]) => inline ?? defined ?? "")

/** Where the repository is read on the web. What the README names there must be here. */
const repository = "https://github.com/effect-beanstalk/effect-beanstalk/blob/main/"

describe.each([...documents])("$path", ({ path, text }) => {
  it("links to files and headings that are there", () => {
    const broken = linksOf(text).filter((link) => {
      if (/^https?:/.test(link) && !link.startsWith(repository)) return false
      const [target = "", anchor] = link.split("#")
      const file = target.startsWith(repository)
        ? target.slice(repository.length)
        : target === ""
        ? path
        : normalize(join(dirname(path), target))
      if (!existsSync(join(root, file))) return true
      return anchor !== undefined && !anchorsOf(readFileSync(join(root, file), "utf8")).includes(anchor)
    })
    assert.deepStrictEqual(broken, [])
  })
})

describe("the README", () => {
  it("links to nothing that the package does not have, but by the address of the repository", () => {
    const readme = documents.find(({ path }) => path === "README.md")
    assert(readme !== undefined)
    assert.deepStrictEqual(linksOf(readme.text).filter((link) => !/^(https:|#)/.test(link)), [])
  })
})
