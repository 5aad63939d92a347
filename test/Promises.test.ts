/** Holds the tables of the pages that number rules and promises: a number leads to its test files, and a title to its number. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

const read = (file: string) => readFileSync(join(root, file), "utf8")

const section = (text: string, heading: string) => text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? ""

/** The test files of each row of a table, by the number in its first cell. */
const filesByNumber = (table: string) =>
  new Map(
    Array.from(table.matchAll(/^\| R?(\d+) \|.*$/gm), ([row, number]) => [
      Number(number),
      Array.from(row.matchAll(/`(test\/[^`]+)`/g), ([, file]) => file!)
    ])
  )

const rules = read("docs/worker-rules.md")

const promises = read("docs/promises.md")

const tables = {
  rule: filesByNumber(section(rules, "Where each rule is tested")),
  promise: filesByNumber(section(promises, "Promises")),
  "hostile input": filesByNumber(section(promises, "Hostile input"))
}

type Kind = keyof typeof tables

const numbered = Object.entries(tables).flatMap(([kind, table]) =>
  [...table].map(([number, files]) => ({ name: `${kind} ${number}`, files }))
)

/** What a title refers to in front of its colon. It may refer to several: R9 and rules 24, 25. */
const references = (title: string) => {
  const found: Array<readonly [kind: Kind, number: number]> = []
  let kind: Kind = "promise"
  for (const [word] of title.matchAll(/\bR(?=\d)|rule|hostile input|\d+/g)) {
    if (word === "R") kind = "promise"
    else if (word === "rule" || word === "hostile input") kind = word
    else found.push([kind, Number(word)])
  }
  return found
}

const testFiles = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => `test/${file}`)

/** Titles that begin with a number of one of the tables, and the files that have them. */
const titled = testFiles.flatMap((file) =>
  Array.from(
    read(file).matchAll(/["'`]((?:R\d|rules? \d|hostile input \d)[^:"'`]*):/g),
    ([, title]) => references(title!).map(([kind, number]) => ({ file, kind, number }))
  ).flat()
)

describe("the tables of rules and promises", () => {
  it("have a row for each rule", () => {
    const numbers = Array.from(rules.matchAll(/^(\d+)\. /gm), ([, number]) => Number(number))
    assert.deepStrictEqual([...tables.rule.keys()], numbers)
  })

  it("number without a gap", () => {
    for (const table of Object.values(tables)) {
      assert.deepStrictEqual([...table.keys()], Array.from(table.keys(), (_, index) => index + 1))
      assert.isAbove(table.size, 0)
    }
  })

  it("name test files that are there, at least one in each row", () => {
    assert.deepStrictEqual(numbered.filter(({ files }) => files.length === 0), [])
    const named = new Set(numbered.flatMap(({ files }) => files))
    assert.deepStrictEqual([...named].filter((file) => !existsSync(join(root, file))), [])
  })

  it("name every file that has a title with their number", () => {
    assert.isAbove(titled.length, 0)
    const missing = titled.filter(({ file, kind, number }) => tables[kind].get(number)?.includes(file) !== true)
    assert.deepStrictEqual([...new Set(missing.map(({ file, kind, number }) => `${kind} ${number}: ${file}`))], [])
  })
})
