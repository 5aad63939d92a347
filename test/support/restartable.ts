/** A real beanstalkd that keeps its jobs in a folder: it can be killed, and started again on the same port. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ScopedRef from "effect/ScopedRef"
import * as Net from "node:net"
import { startBeanstalkd, temporaryFolder } from "./beanstalkd.ts"
import { connectorTo } from "./connections.ts"
import type { Listening } from "./server.ts"

export interface Restartable extends Pick<Listening, "connect" | "connector" | "target"> {
  /** Kills it with SIGKILL, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
  /** Starts it again with what it has kept, and waits until it listens. */
  readonly revive: Effect.Effect<void>
}

/** A server that runs, until the scope closes. */
export const startRestartable: Effect.Effect<Restartable, never, Scope.Scope> = Effect.gen(function*() {
  const args = ["-b", yield* temporaryFolder]
  // A reference acquires uninterruptibly, but whether a program has started is found out by a race, whose loser is interrupted.
  const start = (port?: number) => Effect.asSome(Effect.interruptible(startBeanstalkd({ args, port })))
  const program = yield* ScopedRef.fromAcquire(start())
  const { target } = yield* Effect.orDie(Effect.flatten(ScopedRef.get(program)))
  const port = "port" in target ? target.port : undefined
  return {
    target,
    connector: connectorTo(target),
    connect: () => Net.connect(target),
    kill: ScopedRef.set(program, Effect.succeed(Option.none())),
    revive: ScopedRef.set(program, start(port))
  }
})
