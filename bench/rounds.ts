/** Interleaved rounds: in each, every runner makes one run, in random order. */
import type { Faulty, Outcome } from "./outcome.ts"
import { shuffled } from "./random.ts"
import type { Cell, Runner } from "./runner.ts"

export interface Round {
  readonly round: number
  readonly opsPerSecond: number
  readonly cpuMicrosPerOp: number
}

export type Metric = "opsPerSecond" | "cpuMicrosPerOp"

/** A contender whose run was faulty makes no more runs in this cell. */
export interface Excluded extends Faulty {
  readonly round: number
}

export type Result = ReadonlyArray<Round> | Excluded

export const isExcluded = (result: Result): result is Excluded => "kind" in result

const after = (rounds: ReadonlyArray<Round>, round: number, { operations }: Cell, outcome: Outcome): Result =>
  outcome.kind === "measured"
    ? [...rounds, {
      round,
      opsPerSecond: operations / outcome.seconds,
      cpuMicrosPerOp: outcome.cpuMicros / operations
    }]
    : { round, ...outcome }

/** The rounds of each runner, or why it was excluded. */
export const interleaved = async <A extends Runner>(
  cell: Cell,
  runners: ReadonlyArray<A>,
  rounds: number,
  random: () => number
): Promise<ReadonlyMap<A, Result>> => {
  const results = new Map<A, Result>()
  for (let round = 1; round <= rounds; round++) {
    for (const runner of shuffled(runners, random)) {
      const before = results.get(runner) ?? []
      if (isExcluded(before)) continue
      const result = after(before, round, cell, await runner.run())
      if (isExcluded(result)) runner.stop()
      results.set(runner, result)
    }
  }
  return results
}
