/** Plays many scripts against pairs of servers, and shrinks one that shows a difference. */
import * as Effect from "effect/Effect"
import { Generator } from "./differentialGenerator.ts"
import { Difference, type Pair, type PairOptions, startPair } from "./differentialPair.ts"
import { Incomparable, Player, type Scene, type Script, type Step } from "./differentialScript.ts"
import { Random } from "./random.ts"

export interface RunOptions extends PairOptions {
  readonly seed: number
  readonly scripts: number
  /** Steps of a script. */
  readonly length: number
  readonly drains?: boolean | undefined
}

export interface Figures {
  readonly scripts: number
  readonly steps: number
  readonly commands: number
  readonly seconds: number
  /** Scripts that were left, since the real server would not have survived them. */
  readonly left: number
  readonly differences: ReadonlyArray<string>
}

/** A run ends with so many differences. */
const mostDifferences = 3

type Outcome = "same" | "left" | Difference

const playOn = async (pair: Pair, next: (scene: Scene) => Step | undefined) => {
  const player = new Player(pair)
  const outcome: Outcome = await player.play(next).then(
    () => "same",
    (error: unknown) => {
      if (error instanceof Difference) return error
      if (error instanceof Incomparable) return "left"
      throw error
    }
  )
  return { outcome, played: player.played }
}

const withPair = <A>(options: PairOptions, use: (pair: Pair) => Promise<A>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(startPair(options), (pair) => Effect.promise(() => use(pair)))))

const replay = (options: PairOptions, script: Script) =>
  withPair({ ...options, patience: 500 }, async (pair) => {
    const { outcome } = await playOn(pair, ({ steps }) => script[steps])
    return { outcome, log: pair.log }
  })

/** Drops steps as long as there is still a difference, on servers that have just started. */
const shrink = async (options: PairOptions, script: Script): Promise<Script> => {
  let smallest = script
  let trials = 150
  for (let size = Math.ceil(script.length / 2); size >= 1 && trials > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = smallest.length - size; start > -size && trials > 0; start -= size) {
      const smaller = [...smallest.slice(0, Math.max(0, start)), ...smallest.slice(start + size)]
      trials -= 1
      const { outcome } = await replay(options, smaller)
      if (outcome instanceof Difference) smallest = smaller
    }
  }
  return smallest
}

const report = async (
  options: RunOptions,
  seed: number,
  difference: Difference,
  log: Array<string>,
  script: Script
) => {
  const again = await replay(options, script)
  const tell = ({ message }: Difference, log: ReadonlyArray<string>) =>
    [...log.slice(-40), message]
      .join("\n")
      .replace(/(.)\1{29,}/g, (run: string, one: string) => `${one}{${run.length}}`)
  if (!(again.outcome instanceof Difference)) {
    return `seed ${seed}: a difference that does not show on new servers\n${tell(difference, log)}`
  }
  const smallest = await shrink(options, script)
  const last = await replay(options, smallest)
  return last.outcome instanceof Difference
    ? `seed ${seed}: a difference\n${tell(last.outcome, last.log)}`
    : `seed ${seed}: a difference that does not always show\n${tell(again.outcome, again.log)}`
}

/** Each script has a seed of its own: that of the run, and where it stands in the run. */
export const run = (options: RunOptions): Effect.Effect<Figures> => Effect.promise(() => runAll(options))

const runAll = async (options: RunOptions): Promise<Figures> => {
  const startedAt = performance.now()
  let steps = 0
  let commands = 0
  let left = 0
  let scripts = 0
  const differences: Array<string> = []
  while (scripts < options.scripts && differences.length < mostDifferences) {
    await withPair(options, async (pair) => {
      let outcome: Outcome = "same"
      while (outcome === "same" && scripts < options.scripts) {
        const seed = options.seed + scripts
        const random = new Random(seed)
        const generator = new Generator({ ...options, random, maxJobSize: options.maxJobSize ?? 65_535 })
        const result = await playOn(pair, generator.next)
        outcome = result.outcome
        scripts += 1
        steps += result.played.length
        if (outcome === "left") left += 1
        if (outcome instanceof Difference) {
          differences.push(await report(options, seed, outcome, pair.log, result.played))
        }
        // There is no way back from draining.
        if (options.drains === true) break
      }
      for (const count of pair.broker.counters.commands.values()) commands += count
    })
  }
  return { scripts, steps, commands, seconds: (performance.now() - startedAt) / 1000, left, differences }
}
