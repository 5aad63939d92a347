/** For tests of `putAll`: sources that count how far they were read, and the jobs that the server has stored. */
import { assert } from "@effect/vitest"
import { type BeanstalkClient, BeanstalkError, type Job } from "effect-beanstalk"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { failsWith } from "./connections.ts"

/** An endless source of bodies that are their indices, in chunks of one. It counts the bodies that were read. */
export const counting = () => {
  const source = { read: 0, isFinalized: false }
  const bodies = Stream.repeatEffect(Effect.sync(() => String(source.read++))).pipe(
    Stream.ensuring(Effect.sync(() => void (source.isFinalized = true)))
  )
  return { source, bodies }
}

/** The ids that were emitted, and how the stream ended. */
export const ranOut = <E, R>(ids: Stream.Stream<Job.JobId, E, R>) =>
  Effect.suspend(() => {
    const given: Array<Job.JobId> = []
    return Effect.map(
      Effect.exit(Stream.runForEach(ids, (id) => Effect.sync(() => void given.push(id)))),
      (exit) => ({ given, exit })
    )
  })

const failureOf = <E>(exit: Exit.Exit<unknown, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

/** The ids that were emitted, and the error with which the stream stopped. */
export const stops = <E, R>(ids: Stream.Stream<Job.JobId, E, R>) =>
  Effect.flatMap(ranOut(ids), ({ exit, given }) => {
    const stopped = failureOf(exit)
    return stopped instanceof BeanstalkError.PutAllStopped
      ? Effect.succeed({ given, stopped })
      : Effect.die(Exit.isFailure(exit) ? exit.cause : "it should stop")
  })

/** The body and the id of every ready job of a tube, in the order of the bodies. It deletes them. */
export const readyIn = (client: BeanstalkClient.Client, tube: string) =>
  Effect.gen(function*() {
    const found: Array<readonly [body: string, id: Job.JobId]> = []
    const take = Effect.flatMap(Effect.flatten(client.peekReady(tube)), (job) =>
      Effect.map(Effect.zipLeft(job.text(), client.delete(job.id)), (body) => void found.push([body, job.id])))
    yield* failsWith(Effect.forever(take), "NoSuchElementException")
    return found.toSorted(([one], [other]) =>
      Number(one) - Number(other)
    )
  })

/** Asserts that the server has stored exactly the bodies that the error accounts for. */
export const assertAccountsFor = (
  { acknowledged, behind, failures, sent }: BeanstalkError.PutAllStopped,
  { found, given }: {
    readonly given: ReadonlyArray<Job.JobId>
    readonly found: ReadonlyArray<readonly [body: string, id: Job.JobId]>
  }
) => {
  const failed = failures.map(({ index }) => index)
  assert.deepStrictEqual(failed, failed.toSorted((one, other) => one - other))
  assert.strictEqual(new Set(failed).size, failed.length)
  assert.isTrue(failed.every((index) => index < sent))
  assert.strictEqual(
    given.length,
    failed[0],
    "an id is emitted for each body in front of the first that failed, and for no other"
  )
  assert.deepStrictEqual([given.length + behind.length, failed.length], [acknowledged, sent - acknowledged])
  const put = Array.from({ length: sent }, (_, index) => index).filter((index) => !failed.includes(index))
  const server = new Map(found)
  assert.strictEqual(server.size, found.length, "no body is there twice")
  const ids = new Map([...given.entries(), ...behind.map(({ id, index }) => [index, id] as const)])
  assert.deepStrictEqual(
    put.map((index) => server.get(String(index))),
    put.map((index) => ids.get(index)),
    "each id is that of its body"
  )
  const mayBeThere = (index: number) =>
    failures.some(({ error, index: failed }) =>
      failed === index && error._tag === "ConnectionLost" && error.outcome === "Unknown"
    )
  const beyond = [...server.keys()].map(Number).filter((index) => !put.includes(index))
  assert.deepStrictEqual(beyond.filter((index) => !mayBeThere(index)), [], "nothing is there that was not put")
}
