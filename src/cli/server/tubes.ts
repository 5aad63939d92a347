/** The tubes that were asked for, by name or by pattern. */
import * as Effect from "effect/Effect"
import { defaultTube, type TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import { NothingThere } from "../failures.ts"
import { listed } from "../terminal/text.ts"
import { didYouMean } from "../values/nearest.ts"
import { namedOrAmong, type TubePattern } from "../values/tubePattern.ts"

/** A connection, or a client. */
interface Lister<out E> {
  readonly address: string
  readonly listTubes: Effect.Effect<ReadonlyArray<TubeName>, E>
}

/** Several as one, with the tubes of all. */
export const allOf = <E>(listers: ReadonlyArray<Lister<E>>): Lister<E> => ({
  address: listed(listers.map(({ address }) => address), "and"),
  listTubes: Effect.map(
    Effect.forEach(listers, ({ listTubes }) => listTubes, { concurrency: "unbounded" }),
    (tubes) => [...new Set(tubes.flat())]
  )
})

/** The tubes of the server that a pattern matches, each once, in the order of the patterns. Fails if one matches none. */
export const matching = <E>(
  client: Lister<E>,
  patterns: ReadonlyArray<TubePattern>
): Effect.Effect<ReadonlyArray<TubeName>, NothingThere | E> =>
  Effect.flatMap(client.listTubes, (tubes) => {
    const missing = patterns.find(({ matches }) => !tubes.some(matches))
    if (missing !== undefined) return noTube(client, missing, tubes)
    return Effect.succeed([...new Set(patterns.flatMap(({ matches }) => tubes.filter(matches)))])
  })

/** The same; all tubes of the server if there is no pattern. */
export const matchingOrAll = <E>(
  client: Lister<E>,
  patterns: ReadonlyArray<TubePattern>
): Effect.Effect<ReadonlyArray<TubeName>, NothingThere | E> =>
  patterns.length === 0 ? client.listTubes : matching(client, patterns)

/** The tubes with these names, which need not exist, and those that the patterns match now. Fails if a pattern matches none. */
export const namedOrMatching = <E>(
  client: Lister<E>,
  patterns: ReadonlyArray<TubePattern>
): Effect.Effect<ReadonlyArray<string>, NothingThere | E> => {
  const globs = patterns.filter(({ isGlob }) => isGlob)
  const matched = globs.length === 0 ? Effect.succeed([]) : matching(client, globs)
  return Effect.map(matched, (tubes) => namedOrAmong(patterns, tubes))
}

const noTube = (
  { address }: { readonly address: string },
  { isGlob, text }: TubePattern,
  tubes: ReadonlyArray<TubeName>
) =>
  new NothingThere({
    message: isGlob
      ? `no tube on ${address} matches ${text}.`
      : `there is no tube ${text} on ${address}.${didYouMean(text, tubes)}`
  })

/** How many others watch a tube: every new connection watches the tube `default`, that of this program too. */
export const watchers = ({ currentWatching, name }: TubeStats): number =>
  name === defaultTube ? Math.max(0, currentWatching - 1) : currentWatching
