/** The question before an act, at a terminal of util-linux's `script`. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeConnector, NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { bundle, root } from "../support/bundled.ts"
import { eventually } from "../support/connections.ts"

describe.skipIf(process.platform !== "linux" || !existsSync("/usr/bin/script"))("the question before an act", () => {
  it.scopedLive("is not waited for at a terminal from which ids were read to the end", () =>
    Effect.gen(function*() {
      const { url } = yield* NodeEmbeddedServer.listen()
      const connection = yield* Effect.provide(BeanstalkConnection.make(), NodeConnector.layerUrl(url))
      yield* connection.put("x", { tube: "emails" })
      const program = yield* bundle("src/cli/main.ts")
      const ended = yield* Deferred.make<void>()
      const command = `'${process.execPath}' '${program}' purge emails --ids-from - -u ${url}; echo ended $?`
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("script", ["-q", "-c", command, "/dev/null"], { cwd: root })),
        (child) => Effect.zipRight(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
      )
      let output = ""
      child.stdout.on("data", (chunk) => output += chunk)
      child.on("close", () => Deferred.unsafeDone(ended, Effect.void))
      yield* eventually(Effect.sync(() => output), (output) => output.includes("look at ids"))
      child.stdin.write("1\n\u0004")
      yield* eventually(Effect.sync(() => output), (output) => output.includes("ended 2"))
      assert.include(output, "Standard input has ended, so that nobody can answer: add --yes.")
      assert.strictEqual((yield* connection.stats).currentJobsReady, 1)
    }))
})
