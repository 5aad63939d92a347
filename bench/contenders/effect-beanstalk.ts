/** This project, from its build: tsx adds a function name to every closure of a source, which costs time per command. */
import { Duration, Effect, ManagedRuntime } from "effect"
import { BeanstalkConnection } from "../../dist/index.js"
import { NodeBeanstalk } from "../../dist/node/index.js"
import type { Connect, Session } from "../contender.ts"
import type { Ledger } from "../ledger.ts"
import { priority, putBytes, ttr, tube } from "../workload.ts"

const options = { priority, ttr: Duration.seconds(ttr) }

const sideBySide = <E, R>(depth: number, loop: Effect.Effect<void, E, R>) =>
  Effect.all(Array.from({ length: depth }, () => loop), { concurrency: "unbounded", discard: true })

const put = (ledger: Ledger, depth: number) =>
  Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (connection) =>
    sideBySide(
      depth,
      Effect.whileLoop({
        while: ledger.take,
        body: () => connection.put(putBytes, options),
        step: ledger.inserted
      })
    ))

const reserveDelete = (ledger: Ledger, depth: number) =>
  Effect.flatMap(BeanstalkConnection.BeanstalkConnection, (connection) => {
    const pair = Effect.flatMap(connection.reserve, (job) => {
      ledger.reserved(job.id, job.body)
      return connection.delete(job.id)
    })
    return sideBySide(depth, Effect.whileLoop({ while: ledger.take, body: () => pair, step: ledger.deleted }))
  })

const prepare = Effect.gen(function*() {
  const connection = yield* BeanstalkConnection.BeanstalkConnection
  yield* connection.use(tube)
  yield* connection.watch(tube)
  yield* connection.ignore("default")
})

export const connect: Connect = async (port): Promise<Session> => {
  const runtime = ManagedRuntime.make(NodeBeanstalk.layerConnection({ host: "127.0.0.1", port }))
  await runtime.runPromise(prepare)
  return {
    put: (ledger, depth) => runtime.runPromise(put(ledger, depth)),
    reserveDelete: (ledger, depth) => runtime.runPromise(reserveDelete(ledger, depth)),
    close: () => runtime.dispose()
  }
}
