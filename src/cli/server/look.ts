/** Looks at each of the servers by itself. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Client } from "../../BeanstalkClient.ts"
import { type Failure, NothingThere } from "../failures.ts"
import type { Output } from "../terminal/output.ts"
import type { Server } from "./server.ts"
import { Servers } from "./servers.ts"
import { failIfAny } from "./tellFailures.ts"

const isNothingThere = (error: unknown): error is NothingThere => error instanceof NothingThere

/** A server, and what was seen on it. */
export interface Seen<out A> {
  readonly server: Server
  readonly seen: A
}

/** Looks at all servers as {@link lookAtEach} does, with a client of each. */
export const lookAtAll = <A, E extends Failure, R, E2, R2>(
  look: (client: Client, server: Server) => Effect.Effect<A, E, R>,
  show: (seen: ReadonlyArray<Seen<A>>, isOne: boolean) => Effect.Effect<void, E2, R2>
) => lookAtEach((server) => Effect.flatMap(server.connect, (client) => look(client, server)), show)

/**
 * Looks at all servers at the same time. If some cannot be looked at, `show` gets what the others said, and then it fails with the
 * first failure, having noted the rest; also if the others have nothing to show.
 */
export const lookAtEach = <A, E extends Failure, R, E2, R2>(
  look: (server: Server) => Effect.Effect<A, E, R>,
  show: (seen: ReadonlyArray<Seen<A>>, isOne: boolean) => Effect.Effect<void, E2, R2>
): Effect.Effect<void, E | E2, R | R2 | Servers | Output> =>
  Effect.gen(function*() {
    const servers = yield* Servers
    const results = yield* Effect.forEach(
      servers,
      (server) => look(server).pipe(Effect.map((seen) => ({ server, seen })), Effect.either),
      { concurrency: "unbounded" }
    )
    const [errors, seen] = Arr.separate(results)
    const showing = seen.length > 0 ? show(seen, servers.length === 1) : Effect.void
    if (errors.length === 0) return yield* showing
    // What the others do not have may be on those that cannot be looked at.
    yield* Effect.catchIf(showing, (error) => isNothingThere(error), () => Effect.void)
    const [failures, absences] = Arr.partition(errors, (error) => isNothingThere(error))
    yield* failIfAny([...failures, ...absences])
  })
