/** A real beanstalkd with a binlog, which can be killed and started again on the same port. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ScopedRef from "effect/ScopedRef"
import * as Net from "node:net"
import { startBeanstalkd, temporaryFolder } from "./beanstalkd.ts"
import { connectorTo } from "./connections.ts"
import type { Listening } from "./server.ts"

export interface Restartable extends Pick<Listening, "connect" | "connector" | "target"> {
  /** Kills it with SIGKILL, and waits until its process has ended. */
  readonly kill: Effect.Effect<void>
  /** Starts it again with its binlog, and waits until it listens. */
  readonly revive: Effect.Effect<void>
}

/** Starts one, which ends with the scope. */
export const startRestartable: Effect.Effect<Restartable, never, Scope.Scope> = Effect.gen(function*() {
  const args = ["-b", yield* temporaryFolder]
  // A reference acquires uninterruptibly, but the start is a race, whose loser must be interrupted.
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
