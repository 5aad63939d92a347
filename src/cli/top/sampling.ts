/** Reads the statistics of the server and its tubes again and again: those of the tubes on screen often, the others seldom. */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Client, ClientError } from "../../BeanstalkClient.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import type { ServerStats, TubeStats } from "../../Stats.ts"

/** What was read. Times are in milliseconds, of a clock that does not go back. */
export type Sample =
  | { readonly _tag: "ServerRead"; readonly at: number; readonly stats: ServerStats }
  | { readonly _tag: "TubesRead"; readonly at: number; readonly tubes: ReadonlyArray<TubeStats> }
  /** A round begins, in which all tubes are read that are not on screen. */
  | { readonly _tag: "TubesListed"; readonly at: number; readonly names: ReadonlyArray<TubeName> }
  | { readonly _tag: "NothingRead"; readonly at: number; readonly error: SampleError }

export type SampleError = ClientError | InvalidArgument

/** What is wanted now. */
export interface Wanted {
  /** How often the tubes on screen are read, in milliseconds. */
  readonly pace: number
  readonly isFrozen: boolean
  /** The tubes on screen. */
  readonly shown: ReadonlyArray<TubeName>
  /** How many tubes there are. */
  readonly total: number
}

export interface SamplingOptions {
  readonly client: Client
  /** Which tubes are read at all. */
  readonly matches: (tube: string) => boolean
  readonly wanted: Effect.Effect<Wanted>
  /** Emits what is wanted now, and whenever it changes. */
  readonly changes: Stream.Stream<Wanted>
}

/** In milliseconds. */
export const now: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

/** How many of the other tubes are asked for at a time. beanstalkd looks a tube up among all: 256 of 10,000 take it some 20 ms. */
const batchSize = 256

/** The other tubes are read for the eleventh part of the time. */
const rest = 10

/**
 * How long a round takes at least, as a multiple of the pace. `beanstalk top` itself took 9 % of a core for a thousand tubes in each
 * second, and 5 % for a third of them, where the server took 1.7 % and 0.6 %.
 */
const shortestRound = ({ total }: Wanted): number => Math.min(5, Math.max(1, total / 200))

/** How long after a failure it is tried again. */
const afterFailure = "1 second"

/** Until it is interrupted. A failure is a sample, too. */
export const samples = (options: SamplingOptions): Stream.Stream<Sample> =>
  Stream.merge(again(shown(options)), again(others(options)))

const again = (stream: Stream.Stream<Sample, SampleError>): Stream.Stream<Sample> =>
  stream.pipe(
    Stream.catchAll((error) =>
      Stream.fromEffect(Effect.map(now, (at): Sample => ({ _tag: "NothingRead", at, error })))
    ),
    Stream.repeat(Schedule.spaced(afterFailure))
  )

/** The server and the tubes on screen, at the pace that is wanted. */
const shown = ({ changes, client, wanted }: SamplingOptions): Stream.Stream<Sample, SampleError> =>
  changes.pipe(
    Stream.changesWith((one, other) => one.pace === other.pace && one.isFrozen === other.isFrozen),
    Stream.flatMap(
      ({ isFrozen, pace }) =>
        isFrozen ? Stream.never : Stream.repeatEffectWithSchedule(readShown(client, wanted), Schedule.fixed(pace)),
      { switch: true }
    ),
    Stream.flattenIterables
  )

const readShown = (client: Client, wanted: Effect.Effect<Wanted>): Effect.Effect<ReadonlyArray<Sample>, SampleError> =>
  Effect.gen(function*() {
    const { shown } = yield* wanted
    const [stats, tubes] = yield* Effect.all([client.stats, client.statsTubes(shown)], { concurrency: "unbounded" })
    const at = yield* now
    return [{ _tag: "ServerRead", at, stats }, { _tag: "TubesRead", at, tubes }]
  })

/** The tubes that there are, and those that are not on screen, a batch at a time. */
const others = ({ changes, client, matches, wanted }: SamplingOptions): Stream.Stream<Sample, SampleError> => {
  const unfrozen = changes.pipe(Stream.filter(({ isFrozen }) => !isFrozen), Stream.take(1), Stream.drain)
  const batchesOf = (names: ReadonlyArray<TubeName>) =>
    Effect.map(wanted, ({ shown }) => {
      const isShown = new Set(shown)
      return Arr.chunksOf(names.filter((name) => !isShown.has(name)), batchSize)
    })
  const read = (names: ReadonlyArray<TubeName>) =>
    Stream.map(
      Stream.concat(unfrozen, seldom(client.statsTubes(names))),
      ({ answer, at }): Sample => ({ _tag: "TubesRead", at, tubes: answer })
    )
  const round = Stream.concat(unfrozen, seldom(client.listTubes)).pipe(
    Stream.flatMap(({ answer, at }) => {
      const names = answer.filter(matches)
      const batches = Stream.fromIterableEffect(batchesOf(names))
      return Stream.concat(Stream.make<[Sample]>({ _tag: "TubesListed", at, names }), Stream.flatMap(batches, read))
    })
  )
  return Stream.forever(atLeast(round, Effect.map(wanted, (wanted) => wanted.pace * shortestRound(wanted))))
}

interface Answer<out A> {
  readonly answer: A
  readonly at: number
}

/** Asks, and then does nothing for ten times as long as that took. */
const seldom = <A, E>(ask: Effect.Effect<A, E>): Stream.Stream<Answer<A>, E> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const [took, answer] = yield* Effect.timed(ask)
      return Stream.concat(
        Stream.make({ answer, at: yield* now }),
        sleeping(Effect.succeed(Duration.times(took, rest)))
      )
    })
  )

/** Does not end before this many milliseconds are over. */
const atLeast = <A, E>(stream: Stream.Stream<A, E>, millis: Effect.Effect<number>): Stream.Stream<A, E> =>
  Stream.unwrap(
    Effect.map(now, (start) => {
      const left = Effect.zipWith(millis, now, (millis, now) => Duration.millis(Math.max(0, start + millis - now)))
      return Stream.concat(stream, sleeping(left))
    })
  )

const sleeping = (duration: Effect.Effect<Duration.Duration>): Stream.Stream<never> =>
  Stream.drain(Stream.fromEffect(Effect.flatMap(duration, Effect.sleep)))
