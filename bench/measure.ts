/** All rounds of one cell, that is of one workload at one depth. */
import { floor } from "./contenders.ts"
import type { ContenderName } from "./contenders.ts"
import { enter } from "./contestant.ts"
import type { Cell } from "./contestant.ts"
import type { Faulty } from "./outcome.ts"
import { shuffled } from "./random.ts"
import { spread } from "./statistics.ts"
import type { Spread } from "./statistics.ts"
import type { Workload } from "./workload.ts"

export interface Round {
  readonly round: number
  readonly opsPerSecond: number
  readonly cpuMicrosPerOp: number
}

export interface Ranked {
  readonly name: ContenderName
  readonly rounds: ReadonlyArray<Round>
  readonly opsPerSecond: Spread
  readonly cpuMicrosPerOp: Spread
  /** Ratios are taken within a round, against the floor of that round, and only then summed up. */
  readonly opsToFloor: Spread
  readonly cpuToFloor: Spread
}

export interface Disqualified extends Faulty {
  readonly name: ContenderName
  readonly round: number
}

export interface CellResult {
  readonly cell: Cell
  readonly contenders: ReadonlyArray<Ranked | Disqualified>
}

const summary = (name: ContenderName, rounds: ReadonlyArray<Round>, floors: ReadonlyMap<number, Round>): Ranked => {
  const toFloor = (key: "opsPerSecond" | "cpuMicrosPerOp"): Spread =>
    spread(rounds.map((round) => round[key] / (floors.get(round.round)?.[key] ?? NaN)))
  return {
    name,
    rounds,
    opsPerSecond: spread(rounds.map((round) => round.opsPerSecond)),
    cpuMicrosPerOp: spread(rounds.map((round) => round.cpuMicrosPerOp)),
    opsToFloor: toFloor("opsPerSecond"),
    cpuToFloor: toFloor("cpuMicrosPerOp")
  }
}

/**
 * Every contender keeps its process for all rounds, as a service keeps its own; every run has a beanstalkd and a
 * connection of its own. A contender found at fault is out of this cell, and the reason stands in its place.
 */
export const measure = async (
  cell: Cell,
  names: ReadonlyArray<ContenderName>,
  rounds: number,
  random: () => number
): Promise<CellResult> => {
  const entrants = names.map((name) => ({ contestant: enter(name, cell), rounds: new Array<Round>() }))
  const out = new Map<ContenderName, Disqualified>()
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const entrant of shuffled(entrants, random)) {
        const { name, run, stop } = entrant.contestant
        if (out.has(name)) continue
        const outcome = await run()
        if (outcome.kind === "measured") {
          entrant.rounds.push({
            round,
            opsPerSecond: cell.operations / outcome.seconds,
            cpuMicrosPerOp: outcome.cpuMicros / cell.operations
          })
        } else {
          if (name === floor) throw new Error(`the floor ${outcome.kind}: ${outcome.detail}`)
          out.set(name, { name, round, ...outcome })
          stop()
        }
      }
    }
  } finally {
    for (const { contestant } of entrants) contestant.stop()
  }
  const floors = new Map(
    entrants.filter((entrant) => entrant.contestant.name === floor)
      .flatMap((entrant) => entrant.rounds.map((round) => [round.round, round]))
  )
  return {
    cell,
    contenders: entrants.map(({ contestant, rounds }) =>
      out.get(contestant.name) ?? summary(contestant.name, rounds, floors)
    )
  }
}

const calibrationOperations = 4000
const warmupShare = 4

const rounded = (operations: number): number => {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(operations)) - 1)
  return Math.max(1, Math.round(operations / step) * step)
}

export const cellOf = (workload: Workload, depth: number, operations: number): Cell => ({
  workload,
  depth,
  operations,
  warmup: Math.ceil(operations / warmupShare)
})

/** As many operations as the floor does in the given time. */
export const calibrate = async (workload: Workload, depth: number, seconds: number): Promise<Cell> => {
  const contestant = enter(floor, cellOf(workload, depth, calibrationOperations))
  try {
    const outcome = await contestant.run()
    if (outcome.kind !== "measured") throw new Error(`the floor ${outcome.kind}: ${outcome.detail}`)
    return cellOf(workload, depth, rounded(calibrationOperations / outcome.seconds * seconds))
  } finally {
    contestant.stop()
  }
}
