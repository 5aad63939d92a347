/** What happens at the worst of moments, and what those do whom a worker cannot choose. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { employ, give, hire, virtually } from "./support/playedWorkers.ts"

describe("rule 11: a worker that is told to go on", () => {
  it(
    "does so though it is told before the server has answered the last delete",
    virtually(Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { peer, server, worker } = yield* employ(() => Deferred.await(gate))
      yield* give(peer, 1)
      yield* worker.quiet
      yield* Deferred.succeed(gate, undefined)
      yield* peer.expect("delete 1\r\n")
      yield* worker.resume
      yield* peer.say("DELETED\r\n")
      yield* give(yield* hire(server), 2)
    }))
  )
})
