/**
 * What a program that runs again and again under `Effect.retry` keeps of its earlier runs: nothing. The failure of a run is part of the
 * Context of the next, and an error whose stack is unread keeps all that the functions on the stack refer to.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  BeanstalkClient,
  BeanstalkCluster,
  BeanstalkConnection,
  type BeanstalkError,
  Connector,
  EmbeddedServer,
  Tube,
  Worker
} from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const rounds = 20

type Stats = BeanstalkClient.Client["stats"]

type Failure = Effect.Effect.Error<Stats> | BeanstalkError.InvalidArgument | BeanstalkError.WorkerStartError

/** Opens what it is named after, and hands over a command, which fails once its connection is lost. */
type Program = (
  untilLost: (stats: Stats) => Effect.Effect<never, Failure>
) => Effect.Effect<never, Failure, Connector.Connector | Scope.Scope>

const client = BeanstalkClient.make({ reconnect: Schedule.stop })

const programs: ReadonlyArray<readonly [name: string, program: Program]> = [
  ["connections", (untilLost) => Effect.flatMap(BeanstalkConnection.make(), ({ stats }) => untilLost(stats))],
  ["connections of a Layer", (untilLost) =>
    Effect.provide(
      Effect.flatMap(BeanstalkConnection.BeanstalkConnection, ({ stats }) => untilLost(stats)),
      Layer.fresh(BeanstalkConnection.layer())
    )],
  ["clients", (untilLost) => Effect.flatMap(client, ({ stats }) => untilLost(stats))],
  ["clusters", (untilLost) =>
    Effect.gen(function*() {
      const connector = Layer.succeed(Connector.Connector, yield* Connector.Connector)
      const { stats } = yield* BeanstalkCluster.make([{ id: 1, connector }], { reconnect: Schedule.stop })
      return yield* untilLost(stats)
    })],
  [
    "clients with leases",
    (untilLost) => client.pipe(Effect.flatMap(({ lease }) => lease), Effect.flatMap(({ stats }) => untilLost(stats)))
  ],
  ["clients with workers", (untilLost) =>
    Effect.gen(function*() {
      const own = yield* client
      yield* Effect.provideService(
        Worker.make(Tube.text("words"), () => Effect.never),
        BeanstalkClient.BeanstalkClient,
        own
      )
      return yield* untilLost(own.stats)
    })]
]

describe("R22: a program that is retried keeps none of its earlier failures:", () => {
  it.each(programs)("%s", (_, program) =>
    Effect.gen(function*() {
      const { connector, server } = yield* EmbeddedServer.make()
      const failures: Array<WeakRef<Failure>> = []
      let kept = Number.POSITIVE_INFINITY
      const count = Effect.promise(async () => {
        // What a WeakRef is made for is kept until the turn of the event loop ends.
        await new Promise((resolve) => setImmediate(resolve))
        collectGarbage()
        kept = failures.filter((failure) => failure.deref() !== undefined).length
      })
      const untilLost = (stats: Stats) =>
        Effect.gen(function*() {
          yield* stats
          if (failures.length === rounds) yield* count
          yield* server.inject(EmbeddedServer.Fault.Cut())
          return yield* Effect.zipRight(stats, Effect.dieMessage("the connection was not lost"))
        })
      yield* program(untilLost).pipe(
        Effect.scoped,
        Effect.tapError((failure) => Effect.sync(() => failures.push(new WeakRef(failure)))),
        Effect.retry({ times: rounds }),
        Effect.ignore,
        Effect.provideService(Connector.Connector, connector)
      )
      assert.isAtMost(kept, 2)
    }).pipe(
      Effect.scoped,
      Effect.provide(Logger.remove(Logger.defaultLogger)),
      Effect.runPromise
    ))
})
