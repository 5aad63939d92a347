/** What shells complete a command line with. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../support/beanstalkd.ts"
import { bundle } from "../support/bundled.ts"
import { at, beanstalk } from "../support/cli.ts"
import { openTo } from "../support/connections.ts"
import { describeOnOne } from "../support/servers.ts"

const values = (stdout: string) => stdout.split("\n").filter((line) => line !== "").map((line) => line.split("\t")[0])

const offline = (...words: ReadonlyArray<string>) =>
  Effect.map(
    beanstalk(["__complete", "--", ...words], { env: { BEANSTALKD_URL: "127.0.0.1:1" } }),
    ({ stderr, stdout }) => {
      assert.strictEqual(stderr, "")
      return values(stdout)
    }
  )

describe("completions", () => {
  it.effect("complete commands, flags and the values of flags", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* offline("pe"), ["peek"])
      assert.deepStrictEqual(yield* offline("-u", "x:1", "pe"), ["peek"])
      assert.deepStrictEqual(yield* offline("put", "t", "--pri"), ["--priority"])
      assert.deepStrictEqual(yield* offline("tubes", "--sort", "re"), ["ready", "reserved"])
      assert.deepStrictEqual(yield* offline("tubes", "--sort", "=", "re"), ["ready", "reserved"])
      assert.deepStrictEqual(yield* offline("job", "--decode", "base64,g"), ["base64,gzip"])
      assert.deepStrictEqual(yield* offline("completions", ""), ["bash", "zsh", "fish"])
      assert.deepStrictEqual(yield* offline("put", "t", "--file", ""), [""])
      assert.deepStrictEqual(yield* offline("work", "t", "--", "./scr"), [""])
      assert.deepStrictEqual(yield* offline("work", "t", "--", "script", "--"), [""])
      assert.deepStrictEqual(yield* offline("nonsense", ""), [])
    }))

  it.effect("complete no tubes if the server is not there", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* offline("tubes", ""), [])
    }))

  it.effect("are scripts for three shells", () =>
    Effect.gen(function*() {
      for (const shell of ["bash", "zsh", "fish"]) {
        assert.include((yield* beanstalk(["completions", shell])).stdout, "beanstalk __complete -- ")
      }
      assert.strictEqual((yield* beanstalk(["completions", "tcsh"])).code, 2)
    }))
})

describeOnOne("completions", {}, ({ start }) => {
  it.scopedLive("complete the names of the server's tubes", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      yield* connection.put("x", { tube: "emails" })
      const at1 = (line: string) => Effect.map(at(server, `__complete -- ${line}`), ({ stdout }) => values(stdout))
      assert.deepStrictEqual(yield* at1("peek em"), ["emails"])
      assert.deepStrictEqual(yield* at1("pause emails def"), ["default"])
    }))

  /** What bash completes the words with; `files` if it completes names of files. */
  const inBash = (words: string, url: string, folder: string) =>
    Effect.map(bundle("src/cli/main.ts"), (program) => {
      const command = join(folder, "beanstalk")
      writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`)
      chmodSync(command, 0o755)
      const script =
        `source <(beanstalk completions bash); compopt() { echo files; }; COMP_WORDS=(beanstalk ${words}); ` +
        `COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _beanstalk; echo "\${COMPREPLY[@]}"`
      return execFileSync("bash", ["--norc", "-c", script], {
        env: { PATH: `${folder}:${process.env["PATH"]}`, BEANSTALKD_URL: url },
        encoding: "utf8"
      }).trimEnd()
    })

  it.scopedLive("complete values and files in bash", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      assert.strictEqual(yield* inBash("jobs --state ready,b", "127.0.0.1:1", folder), "ready,buried")
      assert.strictEqual(yield* inBash("put emails --file x", "127.0.0.1:1", folder), "files")
    }))

  it.scopedLive("evaluate nothing of a tube's name in bash", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      const folder = yield* temporaryFolder
      const hostile = `evil$(touch$IFS${folder}/touched)`
      yield* connection.put("x", { tube: hostile })
      const url = "port" in server.target ? `127.0.0.1:${server.target.port}` : ""
      assert.strictEqual(yield* inBash("peek ev", url, folder), hostile.replace(/[$()]/g, "\\$&"))
      assert.isFalse(existsSync(join(folder, "touched")))
    }))
})
