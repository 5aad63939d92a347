/** One cell, that is one workload at one depth: every contender beside the floor and the fastest peer. */
import { floor, isPeer } from "./contenders.ts"
import type { ContenderName } from "./contenders.ts"
import { interleaved, isExcluded } from "./rounds.ts"
import type { Excluded, Metric, Round } from "./rounds.ts"
import { startRunner } from "./runner.ts"
import type { Cell } from "./runner.ts"
import { spread } from "./statistics.ts"
import type { Spread } from "./statistics.ts"
import type { Workload } from "./workload.ts"

export interface Measured {
  readonly name: ContenderName
  readonly rounds: ReadonlyArray<Round>
}

/** Ratios to another contender: each is taken within a round, before anything is summed up. */
export type Ratios = Readonly<Record<Metric, Spread>>

export interface Ranked extends Measured {
  readonly values: Readonly<Record<Metric, Spread>>
  readonly toFloor: Ratios
  readonly toBestPeer: Ratios | undefined
}

export interface CellResult {
  readonly cell: Cell
  /** The peer with the highest throughput. */
  readonly bestPeer: ContenderName | undefined
  readonly ranked: ReadonlyArray<Ranked>
  readonly excluded: ReadonlyArray<Excluded & { readonly name: ContenderName }>
}

const valuesOf = ({ rounds }: Measured): Record<Metric, Spread> => ({
  opsPerSecond: spread(rounds.map((round) => round.opsPerSecond)),
  cpuMicrosPerOp: spread(rounds.map((round) => round.cpuMicrosPerOp))
})

const ratiosTo = (reference: Measured, { rounds }: Measured): Ratios => {
  const references = new Map(reference.rounds.map((round) => [round.round, round]))
  const ratios = (metric: Metric): Spread =>
    spread(rounds.map((round) => round[metric] / (references.get(round.round)?.[metric] ?? NaN)))
  return { opsPerSecond: ratios("opsPerSecond"), cpuMicrosPerOp: ratios("cpuMicrosPerOp") }
}

const bestOf = (measured: ReadonlyArray<Measured>): Measured | undefined =>
  measured.toSorted((a, b) => valuesOf(b).opsPerSecond.median - valuesOf(a).opsPerSecond.median)[0]

/**
 * Every contender keeps its process for all rounds, as a service keeps its own; every run has a beanstalkd and a
 * connection of its own.
 */
export const measure = async (
  cell: Cell,
  names: ReadonlyArray<ContenderName>,
  rounds: number,
  random: () => number
): Promise<CellResult> => {
  const runners = names.map((name) => startRunner(name, cell))
  try {
    const results = [...await interleaved(cell, runners, rounds, random)]
    const measured = results.flatMap(([{ name }, result]) => isExcluded(result) ? [] : [{ name, rounds: result }])
    const excluded = results.flatMap(([{ name }, result]) => isExcluded(result) ? [{ name, ...result }] : [])
    const atFloor = measured.find(({ name }) => name === floor)
    if (atFloor === undefined) throw new Error(`the floor ${excluded.find(({ name }) => name === floor)?.detail}`)
    const bestPeer = bestOf(measured.filter(({ name }) => isPeer(name)))
    const ranked = measured.map((it): Ranked => ({
      name: it.name,
      rounds: it.rounds,
      values: valuesOf(it),
      toFloor: ratiosTo(atFloor, it),
      toBestPeer: bestPeer && ratiosTo(bestPeer, it)
    }))
    return { cell, bestPeer: bestPeer?.name, ranked, excluded }
  } finally {
    for (const { stop } of runners) stop()
  }
}

const calibrationOperations = 4000
const warmupShare = 4

const rounded = (operations: number): number => {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(operations)) - 1)
  return Math.max(1, Math.round(operations / step) * step)
}

const cellOf = (workload: Workload, depth: number, operations: number): Cell => ({
  workload,
  depth,
  operations,
  warmup: Math.ceil(operations / warmupShare)
})

/** As many operations as the floor does in the given time. */
const calibrated = async (workload: Workload, depth: number, seconds: number): Promise<Cell> => {
  const runner = startRunner(floor, cellOf(workload, depth, calibrationOperations))
  try {
    const outcome = await runner.run()
    if (outcome.kind !== "measured") throw new Error(`the floor ${outcome.kind}: ${outcome.detail}`)
    return cellOf(workload, depth, rounded(calibrationOperations / outcome.seconds * seconds))
  } finally {
    runner.stop()
  }
}

/** How long a round is: a fixed count of operations, or the time that the floor takes for them. */
export interface Length {
  readonly operations: number | undefined
  readonly seconds: number
}

export const cellFor = async (workload: Workload, depth: number, { operations, seconds }: Length): Promise<Cell> =>
  operations === undefined ? calibrated(workload, depth, seconds) : cellOf(workload, depth, operations)
