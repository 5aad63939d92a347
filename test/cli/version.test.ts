import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { beanstalk } from "../support/cli.ts"

it.effect("beanstalk --version prints the version of the package", () =>
  Effect.gen(function*() {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
    assert.strictEqual((yield* beanstalk(["--version"])).stdout, `beanstalk ${version}\n`)
  }))
