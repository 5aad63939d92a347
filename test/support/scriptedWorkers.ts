/** Workers of a scripted server, which the test replies for line by line, in virtual time. */
import { assert } from "@effect/vitest"
import { BeanstalkClient, Tube, VirtualClock, type Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { acceptHandshake, clientTo } from "./clients.ts"
import { ok } from "./replies.ts"
import * as Scripted from "./scripted.ts"
import { start, unlogged } from "./workers.ts"

/** The tube of the workers. */
export const tube = Tube.text("t", { ttr: "1 minute" })

/** The present time in milliseconds. */
export const now = Clock.currentTimeMillis

/** The next line that a worker sends, with the time in front of it. */
export const nextLine = (peer: Scripted.Peer) =>
  Effect.flatMap(peer.line, (line) => Effect.map(now, (at) => [at, line.trimEnd()] as const))

/** Accepts the next connection of a worker, and replies to its handshake. */
export const acceptLane = (server: Scripted.Server) =>
  Effect.tap(acceptHandshake(server), (peer) =>
    Effect.zipRight(
      peer.expect("watch t\r\nignore default\r\n"),
      peer.say("WATCHING 2\r\nWATCHING 1\r\n")
    ))

/** Replies to the next reserve with this job. */
export const giveJob = (peer: Scripted.Peer, id: number) =>
  Effect.flatMap(peer.line, (line) => {
    assert.match(line, /^reserve-with-timeout \d+\r\n$/)
    return peer.say(`RESERVED ${id} 1\r\nx\r\n`)
  })

/** Expects this line, and replies to it. */
export const expectAndReply = (peer: Scripted.Peer, line: string, reply: string) =>
  Effect.zipRight(peer.expect(`${line}\r\n`), peer.say(reply))

interface Counters {
  readonly ttr?: number
  readonly timeLeft?: number
  readonly releases?: number
  readonly state?: string
}

/** The reply of a server to `stats-job`. */
export const statsJobReply = (
  id: number,
  { releases = 0, state = "reserved", ttr = 60, timeLeft = ttr - 1 }: Counters = {}
) =>
  ok(
    `---\nid: ${id}\ntube: t\nstate: ${state}\npri: 7\nage: 1\ndelay: 0\nttr: ${ttr}\ntime-left: ${timeLeft}\n`
      + `file: 0\nreserves: ${releases + 1}\ntimeouts: 0\nreleases: ${releases}\nburies: 0\nkicks: 0\n`
  )

type Handler<E> = (payload: string, job: Worker.Job) => Effect.Effect<unknown, E | Worker.Order, Scope.Scope>

/** A worker whose first lane has been accepted. */
export const startWorker = <E>(
  handler: Handler<E>,
  options?: Worker.Options<string, E>,
  clientOptions?: BeanstalkClient.Options
) =>
  Effect.gen(function*() {
    const server = yield* Scripted.inMemory()
    const client = yield* clientTo(server, clientOptions)
    const started = yield* Effect.provideService(
      start(tube, handler, options),
      BeanstalkClient.BeanstalkClient,
      client
    )
    return { ...started, server, peer: yield* acceptLane(server) }
  })

/** Runs a test in virtual time, for an hour at most. */
export const virtualTest = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) => () =>
  test.pipe(
    Effect.scoped,
    Effect.timeoutFail({
      duration: "1 hour",
      onTimeout: () => new Error("the test did not end within an hour of virtual time")
    }),
    Effect.provide(unlogged),
    Effect.provide(VirtualClock.layer()),
    Effect.runPromise
  )
