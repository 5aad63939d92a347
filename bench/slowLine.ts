/** A process of its own that stands between a client and the server at a port, and takes a millisecond each way. */
import { Effect } from "effect"
import { connect } from "node:net"
import * as ChaosProxy from "../test/support/chaosProxy.ts"

const port = Number(process.argv[2])

await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const { target } = yield* ChaosProxy.make({ connect: () => connect({ host: "127.0.0.1", port }) }, {
    latency: "1 millis"
  })
  console.log(target.port)
  yield* Effect.never
})))
