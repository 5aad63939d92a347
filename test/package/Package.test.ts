/** What would be published: the files of the tarball, and what editors show of them. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
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
const isPublic = (path: string) => /^dist\/(node\/)?\w+\.d\.ts$/.test(path) && !path.endsWith("/checkedImport.d.ts")

/** The name by which a program imports what a file declares. */
const nameOf = (path: string) =>
  path.replace(/^dist\//, "effect-beanstalk/").replace(/\.d\.ts$/, "").replace(/\/index$/, "")

/** Runs an ES module in a folder, and returns what it prints. */
const runIn = (folder: string, program: string): string => {
  const { stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: folder,
    encoding: "utf8"
  })
  return stdout + stderr
}

describe("the package", () => {
  let packed: Packed = { size: 0, files: [] }
  beforeAll(() => {
    packed = pack()
  }, 300_000)
  const paths = () => packed.files.map(({ path }) => path)

  it("has the sources, what they compile to, and the documents: nothing else", () => {
    const modules = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.startsWith("cli/"))
      .map((path) => path.slice(0, -".ts".length))
    const compiled = modules.flatMap((module) => [
      `src/${module}.ts`,
      `dist/${module}.js`,
      `dist/${module}.js.map`,
      `dist/${module}.d.ts`,
      `dist/${module}.d.ts.map`
    ])
    const checked = paths().filter(isPublic).flatMap((path) =>
      [".js", ".cjs"].map((extension) => path.replace("dist/", "dist/checked/").replace(".d.ts", extension))
    )
    const bundled = readdirSync(join(root, "dist/cli")).map((file) => `dist/cli/${file}`)
    assert.includeMembers(bundled, ["dist/cli/beanstalk.js", "dist/cli/look.js", "dist/cli/main.js"])
    assert.sameMembers(
      paths(),
      [...compiled, ...checked, ...bundled, "CHANGELOG.md", "LICENSE", "README.md", "package.json"]
    )
  })

  it("is smaller than 1 MB, a third of which is the command line", () => {
    assert.isBelow(packed.size, 1_000_000)
  })

  it("has a command line that runs from an empty folder, without any other package", () => {
    const folder = mkdtempSync(join(tmpdir(), "effect-beanstalk-cli-"))
    cpSync(join(root, "dist/cli"), folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
    const run = (...args: ReadonlyArray<string>) =>
      spawnSync(process.execPath, [join(folder, "beanstalk.js"), ...args], { cwd: folder, encoding: "utf8" })
    assert.match(run("--version").stdout, /^beanstalk \d/)
    assert.include(run("--help").stdout, "  stats  ")
    const commands = ["stats", "tubes", "jobs", "export", "wait emails", "pause emails 1s", "resume emails"]
    for (const command of commands) {
      for (const url of ["127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2"]) {
        const { status, stderr } = run(...command.split(" "), "-u", url)
        assert.deepStrictEqual([status, stderr.split(":")[1]], [3, " cannot reach beanstalkd at 127.0.0.1"], command)
      }
    }
    rmSync(folder, { recursive: true })
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

  it("declares the constructors of events in one line", () => {
    const declarations = read("dist/Worker.d.ts").split("\n").filter((line) => line.includes("const Event"))
    assert.lengthOf(declarations, 1)
    assert.match(declarations[0] ?? "", /^export declare const Event: [\w.]+;$/)
  })

  it("exports from each module, whether it is imported or required, what the file exports", () => {
    const modules = paths().filter(isPublic)
    const keys = `import { createRequire } from "node:module"
      const require = createRequire(import.meta.url)
      const keys = (module) => Object.keys(module).filter((key) => key !== "__esModule").sort().join()
      for (const [name, file] of ${
      JSON.stringify(modules.map((path) => [nameOf(path), `./${path.replace(".d.ts", ".js")}`]))
    }) {
        const all = [await import(name), require(name), await import(file)].map(keys)
        console.log(name, all.every((each) => each === all[2]))
      }`
    assert.strictEqual(runIn(root, keys), modules.map((path) => `${nameOf(path)} true\n`).join(""))
  })

  it("says beside Effect 4, from each module, imported or required, which Effect it needs", () => {
    const folder = mkdtempSync(join(tmpdir(), "effect-beanstalk-effect-4-"))
    const effect = join(folder, "node_modules/effect")
    mkdirSync(effect, { recursive: true })
    writeFileSync(
      join(effect, "package.json"),
      JSON.stringify({
        name: "effect",
        version: "4.1.0",
        type: "module",
        exports: { "./package.json": "./package.json" }
      })
    )
    const ours = join(folder, "node_modules/effect-beanstalk")
    for (const path of paths()) cpSync(join(root, path), join(ours, path))
    const names = paths().filter(isPublic).map(nameOf)
    const message = "effect-beanstalk needs Effect 3 (3.19 or later), but version 4.1.0 of effect is installed."
    const loads = `import { createRequire } from "node:module"
      const require = createRequire(import.meta.url)
      for (const name of ${JSON.stringify(names)}) {
        for (const load of [() => import(name), async () => require(name)]) {
          await load().then(() => console.log(name, "loaded"), ({ message }) => console.log(name, message.slice(0, ${message.length})))
        }
      }`
    const line = (name: string) => `${name} ${message}\n`
    assert.strictEqual(runIn(folder, loads), names.map((name) => line(name).repeat(2)).join(""))
    rmSync(folder, { recursive: true })
  })
})
