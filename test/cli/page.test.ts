/** The page of the command line, which is made from the table, and the manifests of the packages that have it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { commandLinePage } from "../../scripts/commandLinePage.ts"
import { loadAll } from "../../src/cli/commands.ts"

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

describe("the command line", () => {
  it.live("has a page that says what its table says: npm run docs:commands", () =>
    Effect.gen(function*() {
      assert.strictEqual(read("docs/guide/command-line.md"), commandLinePage(yield* Effect.promise(loadAll)))
    }))

  it("is published alone, too, in the same version and without dependencies", () => {
    const { bin, dependencies, peerDependencies, version } = JSON.parse(read("cli/package.json"))
    const library = JSON.parse(read("package.json"))
    assert.strictEqual(version, library.version)
    assert.deepStrictEqual([dependencies, peerDependencies], [undefined, undefined])
    assert.deepStrictEqual(bin, { beanstalk: "./dist/beanstalk.js", "effect-beanstalk-cli": "./dist/beanstalk.js" })
    assert.isUndefined(library.dependencies)
  })
})
