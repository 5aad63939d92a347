import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { commandErrors, tags } from "./support/commandErrors.ts"

const root = new URL("../", import.meta.url)

const readme = readFileSync(new URL("README.md", root), "utf8")

/** The rows of the table below a heading, cell by cell. */
const table = (heading: string) => {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? ""
  return section.split("\n").filter((line) => line.startsWith("| `")).map((line) =>
    line.split(/(?<!\\) *\| */).slice(1, -1)
  )
}

const codes = (cell: string | undefined) => Array.from((cell ?? "").matchAll(/`([^`]+)`/g), (match) => match[1] ?? "")

describe("the README", () => {
  it("shows a newcomer the two commands", () => {
    assert.include(readme, "npm ci && npm start")
    assert.include(readme, "npm ci && npm test")
  })

  it("names every command with exactly the errors its type has", () => {
    const rows = table("Commands").map(([command, , errors]) => [/^`(\w+)/.exec(command ?? "")?.[1], codes(errors)])
    assert.deepStrictEqual(
      Object.fromEntries(rows),
      Object.fromEntries(Object.entries(commandErrors).map(([name, errors]) => [name, [...errors]]))
    )
  })

  it("names every error", () => {
    assert.deepStrictEqual(table("Errors").map(([tag]) => codes(tag)[0]), [...tags])
  })

  it("shows code", () => {
    assert.include(readme, "```ts\n")
  })

  it("names all 35 exports of cl-beanstalk", () => {
    const names = table("Coming from cl-beanstalk").map(([name]) => codes(name)[0])
    assert.strictEqual(new Set(names).size, 35)
    assert.strictEqual(names.length, 35)
  })
})

const documents = ["README.md", ...readdirSync(new URL("docs/", root)).map((file) => `docs/${file}`)]

const examples = readdirSync(new URL("scratchpad/", root))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => readFileSync(new URL(`scratchpad/${file}`, root), "utf8"))

describe.each(documents.filter((file) => file.endsWith(".md")))("%s", (file) => {
  it("shows no code but what is compiled and run as an example", () => {
    const document = readFileSync(new URL(file, root), "utf8")
    const blocks = Array.from(document.matchAll(/```ts\n(.*?)```/gs), (match) => match[1] ?? "")
    assert.deepStrictEqual(blocks.filter((block) => !examples.some((example) => example.includes(block))), [])
  })

  it("names no example that is not there", () => {
    const document = readFileSync(new URL(file, root), "utf8")
    for (const [, name = ""] of document.matchAll(/`(scratchpad\/[^`]+\.ts)`/g)) {
      assert.isTrue(existsSync(new URL(name, root)), name)
    }
  })
})
