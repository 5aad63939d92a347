/** Holds the tables of the guide: they name every command and every error, as the types do. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { commandErrors, tags } from "./support/commandErrors.ts"

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

/** The rows of the table below a heading of a page, cell by cell. */
const table = (page: string, heading: string) => {
  const section = read(`docs/guide/${page}.md`).split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? ""
  return section.split("\n").filter((line) => line.startsWith("| `")).map((line) =>
    line.split(/(?<!\\) *\| */).slice(1, -1)
  )
}

const codes = (cell: string | undefined) => Array.from((cell ?? "").matchAll(/`([^`]+)`/g), (match) => match[1] ?? "")

describe("the guide", () => {
  it("names every command with exactly the errors its type has", () => {
    const rows = table("one-connection", "Commands").map((
      [command, , errors]
    ) => [/^`(\w+)/.exec(command ?? "")?.[1], codes(errors)])
    assert.deepStrictEqual(
      Object.fromEntries(rows),
      Object.fromEntries(Object.entries(commandErrors).map(([name, errors]) => [name, [...errors]]))
    )
  })

  it("names every error", () => {
    assert.deepStrictEqual(table("errors", "All errors").map(([tag]) => codes(tag)[0]), [...tags])
  })

  it("names all 35 exports of cl-beanstalk", () => {
    const names = table("migrating", "From cl-beanstalk").map(([name]) => codes(name)[0])
    assert.strictEqual(new Set(names).size, 35)
    assert.strictEqual(names.length, 35)
  })
})

describe("the README", () => {
  const readme = read("README.md")

  it("shows a newcomer the two commands", () => {
    assert.include(readme, "npm ci && npm start")
    assert.include(readme, "npm ci && npm test")
  })

  it("has at most 250 lines", () => {
    assert.isAtMost(readme.trimEnd().split("\n").length, 250)
  })
})
