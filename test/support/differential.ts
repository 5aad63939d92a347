/** Runs many random scripts on pairs of servers, and shrinks each that shows a difference. */
import * as Effect from "effect/Effect"
import { Generator } from "./differentialGenerator.ts"
import { Difference, type Pair, type PairOptions, startPair } from "./differentialPair.ts"
import { Incomparable, type Script, ScriptRunner, type ScriptState, type Step } from "./differentialScript.ts"
import { Random } from "./random.ts"

export interface RunOptions extends PairOptions {
  readonly seed: number
  readonly scripts: number
  /** The number of steps of each script. */
  readonly length: number
  readonly drains?: boolean | undefined
}

export interface Figures {
  readonly scripts: number
  readonly steps: number
  readonly commands: number
  readonly seconds: number
  /** Scripts that were ended early, because a defect of the real server would have shown. */
  readonly incomparable: number
  readonly differences: ReadonlyArray<string>
}

/** A run ends after so many differences. */
const mostDifferences = 3

type Outcome = "same" | "incomparable" | Difference

const runScript = async (pair: Pair, next: (state: ScriptState) => Step | undefined) => {
  const runner = new ScriptRunner(pair)
  const outcome: Outcome = await runner.run(next).then(
    () => "same",
    (error: unknown) => {
      if (error instanceof Difference) return error
      if (error instanceof Incomparable) return "incomparable"
      throw error
    }
  )
  return { outcome, performed: runner.performed }
}

const withPair = <A>(options: PairOptions, use: (pair: Pair) => Promise<A>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(startPair(options), (pair) => Effect.promise(() => use(pair)))))

const replay = (options: PairOptions, script: Script) =>
  withPair({ ...options, replyTimeout: 500 }, async (pair) => {
    const { outcome } = await runScript(pair, ({ steps }) => script[steps])
    return { outcome, log: pair.log }
  })

/** Removes steps as long as there is still a difference, each time on new servers. */
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
  const describe = ({ message }: Difference, log: ReadonlyArray<string>) =>
    [...log.slice(-40), message]
      .join("\n")
      .replace(/(.)\1{29,}/g, (run: string, one: string) => `${one}{${run.length}}`)
  if (!(again.outcome instanceof Difference)) {
    return `seed ${seed}: a difference that does not occur on new servers\n${describe(difference, log)}`
  }
  const smallest = await shrink(options, script)
  const last = await replay(options, smallest)
  return last.outcome instanceof Difference
    ? `seed ${seed}: a difference\n${describe(last.outcome, last.log)}`
    : `seed ${seed}: a difference that does not always occur\n${describe(again.outcome, again.log)}`
}

/** The seed of a script is that of the run, plus the index of the script. */
export const run = (options: RunOptions): Effect.Effect<Figures> => Effect.promise(() => runAll(options))

const runAll = async (options: RunOptions): Promise<Figures> => {
  const startedAt = performance.now()
  let steps = 0
  let commands = 0
  let incomparable = 0
  let scripts = 0
  const differences: Array<string> = []
  while (scripts < options.scripts && differences.length < mostDifferences) {
    await withPair(options, async (pair) => {
      let outcome: Outcome = "same"
      while (outcome === "same" && scripts < options.scripts) {
        const seed = options.seed + scripts
        const random = new Random(seed)
        const generator = new Generator({ ...options, random, maxJobSize: options.maxJobSize ?? 65_535 })
        const result = await runScript(pair, generator.next)
        outcome = result.outcome
        scripts += 1
        steps += result.performed.length
        if (outcome === "incomparable") incomparable += 1
        if (outcome instanceof Difference) {
          differences.push(await report(options, seed, outcome, pair.log, result.performed))
        }
        // Drain mode cannot be left.
        if (options.drains === true) break
      }
      for (const count of pair.broker.counters.commands.values()) commands += count
    })
  }
  return { scripts, steps, commands, seconds: (performance.now() - startedAt) / 1000, incomparable, differences }
}
