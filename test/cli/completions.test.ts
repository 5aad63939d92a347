/** What shells complete a command line with. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
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
      assert.deepStrictEqual(yield* offline("tubes", "--sort=re"), ["--sort=ready", "--sort=reserved"])
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

  /** Puts the program, as `beanstalk`, into a folder. */
  const install = (folder: string) =>
    Effect.map(bundle("src/cli/main.ts"), (program) => {
      const command = join(folder, "beanstalk")
      writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`)
      chmodSync(command, 0o755)
    })

  const environment = (folder: string, url: string) => ({
    PATH: `${folder}:${process.env["PATH"]}`,
    BEANSTALKD_URL: url
  })

  /** Runs a program to its end, while a server in this process can answer it, and succeeds with what it has written. */
  const output = (file: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input = "") =>
    Effect.async<string>((resume) => {
      const child = execFile(
        file,
        args,
        { env },
        (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
      )
      child.stdin?.end(input)
      return Effect.sync(() => child.kill())
    })

  /** The words of a line as bash makes them: it ends words at `:` and `=` as well. */
  const wordsOf = (line: string) =>
    Array.from(line.matchAll(/'[^']*'?|"[^"]*"?|[:=]|[^\s:=]+|(?<=\s)$/g), ([word]) => word)

  /** What bash completes the line with, or `files` if it completes names of files. */
  const inBash = (line: string, url: string, folder: string) =>
    Effect.gen(function*() {
      yield* install(folder)
      const script = `source <(beanstalk completions bash); compopt() { echo files; }; ` +
        `COMP_LINE=$1; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _beanstalk; echo "\${COMPREPLY[@]}"`
      const args = ["--norc", "-c", script, "bash", line, ...wordsOf(line)]
      return (yield* output("bash", args, environment(folder, url))).trimEnd()
    })

  it.scopedLive("complete values and files in bash", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      assert.strictEqual(yield* inBash("beanstalk jobs --state ready,b", "127.0.0.1:1", folder), "ready,buried")
      assert.strictEqual(yield* inBash("beanstalk jobs --state=ready,b", "127.0.0.1:1", folder), "ready,buried")
      assert.strictEqual(
        yield* inBash("beanstalk tubes --sort=", "127.0.0.1:1", folder),
        "name ready reserved delayed buried waiting watching age paused"
      )
      assert.strictEqual(yield* inBash("beanstalk put emails --file x", "127.0.0.1:1", folder), "files")
    }))

  it.scopedLive("complete tubes in bash behind an address, which it takes for several words, and behind a quote", () =>
    Effect.gen(function*() {
      const server = yield* start()
      yield* (yield* openTo(server)).put("x", { tube: "emails" })
      const folder = yield* temporaryFolder
      const url = "port" in server.target ? `127.0.0.1:${server.target.port}` : ""
      for (
        const line of [
          `-u ${url} peek em`,
          `--url=${url} peek em`,
          `-u '${url}' peek em`,
          `-u "${url}" peek 'em`,
          `-u ${url}  peek "em`
        ]
      ) assert.strictEqual(yield* inBash(`beanstalk ${line}`, "127.0.0.1:1", folder), "emails", line)
    }))

  it.scopedLive.skipIf(process.platform !== "linux" || !existsSync("/usr/bin/script"))(
    "complete what is typed in an interactive bash",
    () =>
      Effect.gen(function*() {
        const server = yield* start()
        const connection = yield* openTo(server)
        yield* connection.put("the body of a mail", { tube: "emails" })
        yield* connection.put("the body of a strange job", { tube: "a$HOME" })
        const folder = yield* temporaryFolder
        yield* install(folder)
        const url = "port" in server.target ? `127.0.0.1:${server.target.port}` : ""
        const typed = [
          "source <(beanstalk completions bash)",
          `beanstalk -u ${url} peek em\t`,
          `beanstalk --url=${url} peek 'em\t`,
          `beanstalk -u ${url} peek "a\t`,
          `beanstalk -u ${url} peek a\t`,
          `beanstalk -u ${url} jobs --state=ready --i\t`,
          "exit"
        ]
        const shown = yield* output(
          "/usr/bin/script",
          ["-qec", "bash --norc -i", "/dev/null"],
          { ...environment(folder, "127.0.0.1:1"), TERM: "dumb" },
          typed.map((line) => `${line}\n`).join("")
        )
        assert.lengthOf(shown.match(/the body of a mail/g) ?? [], 2, shown)
        assert.lengthOf(shown.match(/the body of a strange job/g) ?? [], 2, shown)
        assert.match(shown, /\n2\r\n1\r\n/)
      })
  )

  it.scopedLive("evaluate nothing of a tube's name in bash", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const connection = yield* openTo(server)
      const folder = yield* temporaryFolder
      const hostile = `evil$(touch$IFS${folder}/touched)`
      yield* connection.put("x", { tube: hostile })
      const url = "port" in server.target ? `127.0.0.1:${server.target.port}` : ""
      assert.strictEqual(yield* inBash("beanstalk peek ev", url, folder), hostile.replace(/[$()]/g, "\\$&"))
      assert.isFalse(existsSync(join(folder, "touched")))
    }))
})
