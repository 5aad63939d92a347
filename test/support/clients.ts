/** Clients for tests, and the part of a server that welcomes them. */
import { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ok } from "./replies.ts"
import * as Scripted from "./scripted.ts"
import type { Server } from "./server.ts"

/** A client that closes with the scope. */
export const clientTo = (server: Pick<Server, "connector">, options?: BeanstalkClient.Options) =>
  Effect.provide(BeanstalkClient.make(options), server.connector)

/** What a process of beanstalkd answers to `stats`. */
export const statsOf = (instance: string): string => ok(Scripted.document.replace(/^id: .*$/m, `id: ${instance}`))

/** The instance that a scripted server is, unless it is told otherwise. */
export const sameInstance = "0123456789abcdef"

/** The next connection that a client opens to a scripted server, behind its first round trip. */
export const welcome = (server: Scripted.Server, instance = sameInstance) =>
  Effect.tap(
    server.accept,
    (peer) => Effect.zipRight(peer.expect("stats\r\n"), peer.say(statsOf(instance)))
  )

/** Everything that a client does from now on. The fiber ends with it. */
export const watchStates = (client: BeanstalkClient.Client) =>
  Effect.gen(function*() {
    const states: Array<BeanstalkClient.State> = []
    const fiber = yield* Effect.fork(
      Stream.runForEach(client.changes, (state) => Effect.sync(() => states.push(state)))
    )
    yield* Scripted.turn
    return { states, fiber }
  })
