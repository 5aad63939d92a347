/** What would be published: the files of the tarball, and what editors show of them. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "../support/bundled.ts"

/** What `npm pack` says about the tarball. */
interface Packed {
  readonly size: number
  readonly files: ReadonlyArray<{ readonly path: string }>
}

const pack = (): Packed => {
  const folder = mkdtempSync(join(tmpdir(), "effect-beanstalk-package-"))
  execFileSync("npm", ["run", "build"], { cwd: root })
  const packed: ReadonlyArray<Packed> = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
      cwd: root,
      encoding: "utf8"
    })
  )
  rmSync(folder, { recursive: true })
  const [first] = packed
  assert(first !== undefined)
  return first
}

const read = (path: string) => readFileSync(join(root, path), "utf8")

/** The modules that programs can import. */
const isPublic = (path: string) => /^dist\/(node\/)?\w+\.d\.ts$/.test(path) && path !== "dist/node/bin.d.ts"

describe("the package", () => {
  let packed: Packed = { size: 0, files: [] }
  beforeAll(() => {
    packed = pack()
  }, 300_000)
  const paths = () => packed.files.map(({ path }) => path)

  it("has the sources, what they compile to, and the documents: nothing else", () => {
    const modules = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => path.slice(0, -".ts".length))
    const compiled = modules.flatMap((module) => [
      `src/${module}.ts`,
      `dist/${module}.js`,
      `dist/${module}.js.map`,
      `dist/${module}.d.ts`,
      `dist/${module}.d.ts.map`
    ])
    assert.sameMembers(paths(), [...compiled, "CHANGELOG.md", "LICENSE", "README.md", "package.json"])
  })

  it("is smaller than 600 kB", () => {
    assert.isBelow(packed.size, 600_000)
  })

  it("shows the documentation of each module in its types", () => {
    const modules = paths().filter(isPublic)
    assert.isAbove(modules.length, 15)
    const documented = modules.filter((path) => {
      const [first = ""] = read(path).split("*/")
      return first.startsWith("/**") && first.includes("@since")
    })
    assert.deepStrictEqual(documented, modules)
  })
})
