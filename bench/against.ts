/**
 * Another checkout of this project beside this one, in interleaved pairs of runs: whether a change made it slower. `README.md`
 * in this folder says how it is measured.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { stage } from "./checkout.ts"
import { failPlainly } from "./command.ts"
import { ownClient } from "./contenders.ts"
import { describe, machineOf } from "./machine.ts"
import { cellFor } from "./measure.ts"
import { readAgainstOptions } from "./options.ts"
import { seeded } from "./random.ts"
import { aligned, fixed, titleOf, whole } from "./report.ts"
import { interleaved, isExcluded } from "./rounds.ts"
import type { Excluded, Metric, Round } from "./rounds.ts"
import { startRunner } from "./runner.ts"
import type { Cell } from "./runner.ts"
import { medianInterval, spread } from "./statistics.ts"
import { depthsOf } from "./workload.ts"

interface Sides<A> {
  readonly old: A
  readonly new: A
}

/**
 * How many pairs two processes run before others replace them: V8 compiles the same code a little differently in each process,
 * so that pairs of the same two processes alone would agree with one another more than they should.
 */
const pairsPerProcess = 4

const failure = (side: string, { detail, kind }: Excluded): Error => new Error(`the ${side} build ${kind}: ${detail}`)

/** Pairs of runs in two fresh processes. */
const pairs = async (benches: Sides<URL>, cell: Cell, count: number, random: () => number) => {
  const runners = { old: startRunner(ownClient, cell, benches.old), new: startRunner(ownClient, cell, benches.new) }
  try {
    const results = await interleaved(cell, [runners.old, runners.new], count, random)
    const rounds = (side: keyof Sides<URL>): ReadonlyArray<Round> => {
      const result = results.get(runners[side]) ?? []
      if (isExcluded(result)) throw failure(side, result)
      return result
    }
    return { old: rounds("old"), new: rounds("new") }
  } finally {
    runners.old.stop()
    runners.new.stop()
  }
}

const compare = async (
  benches: Sides<URL>,
  cell: Cell,
  count: number,
  random: () => number
): Promise<Sides<ReadonlyArray<Round>>> => {
  const all = { old: new Array<Round>(), new: new Array<Round>() }
  for (let left = count; left > 0; left -= pairsPerProcess) {
    const more = await pairs(benches, cell, Math.min(left, pairsPerProcess), random)
    all.old.push(...more.old)
    all.new.push(...more.new)
  }
  return all
}

const rowOf = (
  name: string,
  metric: Metric,
  format: (value: number) => string,
  rounds: Sides<ReadonlyArray<Round>>
): ReadonlyArray<string> => {
  const values = { old: rounds.old.map((round) => round[metric]), new: rounds.new.map((round) => round[metric]) }
  const ratios = values.new.map((value, pair) => value / (values.old[pair] ?? NaN))
  const { low, high } = medianInterval(ratios)
  return [
    name,
    format(spread(values.old).median),
    format(spread(values.new).median),
    fixed(3)(spread(ratios).median),
    `${fixed(3)(low)}–${fixed(3)(high)}`,
    `${ratios.filter((ratio) => ratio > 1).length} of ${ratios.length}`
  ]
}

const columns = ["", "old", "new", "new/old", "95 % interval", "new is more in"]

await failPlainly(async () => {
  const options = readAgainstOptions(process.argv.slice(2))
  console.log(describe(await machineOf()))
  const scratch = await mkdtemp(join(tmpdir(), "bench-against-"))
  try {
    const root = fileURLToPath(new URL("..", import.meta.url))
    const benches = {
      old: await stage(options.other, join(scratch, "old")),
      new: await stage(root, join(scratch, "new"))
    }
    console.log(`old: ${options.other}, new: ${root}`)
    console.log(`${options.pairs} pairs in the order of --seed ${options.seed}; ratios are those of each pair`)
    const random = seeded(options.seed)
    for (const workload of options.workloads) {
      for (const depth of depthsOf(workload)) {
        const cell = await cellFor(workload, depth, options)
        const rounds = await compare(benches, cell, options.pairs, random)
        const rows = [
          rowOf("ops/s", "opsPerSecond", whole, rounds),
          rowOf("CPU µs/op", "cpuMicrosPerOp", fixed(1), rounds)
        ]
        console.log(`\n${[titleOf(cell), ...aligned([columns, ...rows])].join("\n")}`)
      }
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
})
