/** Clients for tests, and a scripted server's part of the handshake. */
import { BeanstalkClient, BeanstalkCluster } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ok } from "./replies.ts"
import * as Scripted from "./scripted.ts"
import type { Server } from "./server.ts"

/** A client that closes with the scope, of a server, or of a cluster. */
export const clientTo = (
  { connector, members }: Pick<Server, "connector" | "members">,
  options?: BeanstalkClient.Options
) =>
  members === undefined
    ? Effect.provide(BeanstalkClient.make(options), connector)
    : BeanstalkCluster.make(members, options)

/** The reply of an instance of beanstalkd to `stats`. */
export const statsOf = (instance: string): string => ok(Scripted.document.replace(/^id: .*$/m, `id: ${instance}`))

/** The default instance id of a scripted server. */
export const sameInstance = "0123456789abcdef"

/** Accepts the next connection of a client to a scripted server, and replies to its handshake. */
export const acceptHandshake = (server: Scripted.Server, instance = sameInstance) =>
  Effect.tap(
    server.accept,
    (peer) => Effect.zipRight(peer.expect("stats\r\n"), peer.say(statsOf(instance)))
  )

/** Collects the states of a client from now on. The fiber ends when the client is closed. */
export const watchStates = (client: BeanstalkClient.Client) =>
  Effect.gen(function*() {
    const states: Array<BeanstalkClient.State> = []
    const fiber = yield* Effect.fork(
      Stream.runForEach(client.changes, (state) => Effect.sync(() => states.push(state)))
    )
    yield* Scripted.turn
    return { states, fiber }
  })
