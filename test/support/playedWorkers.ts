/** Workers whose server the test plays, line by line, in a time that passes by itself. */
import { assert } from "@effect/vitest"
import { BeanstalkClient, Tube, VirtualClock, type Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { acceptHandshake, clientTo } from "./clients.ts"
import { ok } from "./replies.ts"
import * as Scripted from "./scripted.ts"
import { start, unlogged } from "./workers.ts"

/** The tube they work on. */
export const tube = Tube.text("t", { ttr: "1 minute" })

/** When it is, in milliseconds. */
export const now = Clock.currentTimeMillis

/** The next line that a worker says, and when. */
export const heard = (peer: Scripted.Peer) =>
  Effect.flatMap(peer.line, (line) => Effect.map(now, (at) => [at, line.trimEnd()] as const))

/** The next connection of a worker, behind its handshake. */
export const hire = (server: Scripted.Server) =>
  Effect.tap(acceptHandshake(server), (peer) =>
    Effect.zipRight(
      peer.expect("watch t\r\nignore default\r\n"),
      peer.say("WATCHING 2\r\nWATCHING 1\r\n")
    ))

/** Answers the reserve that comes next. */
export const give = (peer: Scripted.Peer, id: number) =>
  Effect.flatMap(peer.line, (line) => {
    assert.match(line, /^reserve-with-timeout \d+\r\n$/)
    return peer.say(`RESERVED ${id} 1\r\nx\r\n`)
  })

/** Expects this line, and answers it. */
export const answer = (peer: Scripted.Peer, line: string, reply: string) =>
  Effect.zipRight(peer.expect(`${line}\r\n`), peer.say(reply))

interface Counters {
  readonly ttr?: number
  readonly timeLeft?: number
  readonly releases?: number
  readonly state?: string
}

/** What a server says of a job. */
export const statsOfJob = (
  id: number,
  { releases = 0, state = "reserved", ttr = 60, timeLeft = ttr - 1 }: Counters = {}
) =>
  ok(
    `---\nid: ${id}\ntube: t\nstate: ${state}\npri: 7\nage: 1\ndelay: 0\nttr: ${ttr}\ntime-left: ${timeLeft}\n`
      + `file: 0\nreserves: ${releases + 1}\ntimeouts: 0\nreleases: ${releases}\nburies: 0\nkicks: 0\n`
  )

type Handler<E> = (payload: string, job: Worker.Job) => Effect.Effect<unknown, E | Worker.Order, Scope.Scope>

/** A worker that has just connected. */
export const employ = <E>(
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
    return { ...started, server, peer: yield* hire(server) }
  })

/** Runs a test in virtual time. What has not come after an hour does not come. */
export const virtually = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) => () =>
  test.pipe(
    Effect.scoped,
    Effect.timeoutFail({ duration: "1 hour", onTimeout: () => new Error("what was waited for did not come") }),
    Effect.provide(unlogged),
    Effect.provide(VirtualClock.layer()),
    Effect.runPromise
  )
