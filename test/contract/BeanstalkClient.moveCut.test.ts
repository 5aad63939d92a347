/** A move of buried jobs that is reset at any byte of what it writes to bury the copies. */
import { assert, it } from "@effect/vitest"
import { BeanstalkClient, Connector } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { everyJob, putJobs } from "../support/bulk.ts"
import * as ChaosProxy from "../support/chaosProxy.ts"
import { openTo } from "../support/connections.ts"
import { sample, upTo } from "../support/edition.ts"
import { describeListening } from "../support/servers.ts"

/** More bytes than the connection writes by which the copies are buried. */
const most = 300

describeListening("R23: move of buried jobs, reset at any byte of what buries the copies", (kind) => {
  it.scopedLive("makes no job ready", () =>
    Effect.gen(function*() {
      const server = yield* kind.start()
      const beanstalk = yield* openTo(server)
      const direct = yield* Effect.provide(Connector.Connector, server.connector)
      const worker = yield* openTo(server, { watch: ["target"] })
      const reserving = yield* Effect.fork(worker.reserve)
      let stopped = 0
      for (const bytes of sample(upTo(most), 60)) {
        yield* putJobs(beanstalk, [
          { tube: "here", state: "buried", body: "one" },
          { tube: "here", state: "buried", body: "two" }
        ])
        yield* Effect.gen(function*() {
          const proxy = yield* ChaosProxy.make(server)
          yield* proxy.set({ cutAfter: { bytes, ending: "RST" } }, "toServer")
          const proxied = yield* Effect.provide(Connector.Connector, proxy.connector)
          let opened = 0
          const socket = Effect.suspend(() => (opened += 1) === 2 ? proxied.socket : direct.socket)
          const client = yield* Effect.provideService(
            BeanstalkClient.make(),
            Connector.Connector,
            { ...direct, socket }
          )
          const exit = yield* Effect.exit(client.move("here", "target"))
          if (Exit.isFailure(exit)) stopped += 1
        }).pipe(Effect.scoped)
        const found = yield* everyJob(beanstalk)
        assert.deepStrictEqual([...new Set(found.map(({ body }) => body))].toSorted(), ["one", "two"])
        for (const { id, state, tube } of found) {
          assert.isTrue(
            state === "buried" || (tube === "target" && state === "delayed"),
            `${state} after ${bytes} bytes`
          )
          yield* beanstalk.delete(id)
        }
      }
      assert.isAbove(stopped, 10)
      assert.deepStrictEqual(yield* Fiber.poll(reserving), Option.none())
      yield* Fiber.interrupt(reserving)
    }))
})
