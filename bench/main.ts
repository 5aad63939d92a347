/** Runs the bench. `README.md` in this folder says what it measures. */
import { writeFile } from "node:fs/promises"
import { failPlainly } from "./command.ts"
import { namesIn } from "./contenders.ts"
import { describe, machineOf } from "./machine.ts"
import { cellFor, measure } from "./measure.ts"
import type { CellResult } from "./measure.ts"
import { readOptions } from "./options.ts"
import { seeded } from "./random.ts"
import { table } from "./report.ts"
import { depthsOf } from "./workload.ts"

await failPlainly(async () => {
  const options = readOptions(process.argv.slice(2))
  const machine = await machineOf()
  console.log(describe(machine))
  console.log(
    `${options.rounds} rounds in the order of --seed ${options.seed}; ratios are to the floor and to the fastest peer of `
      + "the same round"
  )

  const random = seeded(options.seed)
  const results: Array<CellResult> = []
  for (const workload of options.workloads) {
    const names = namesIn(workload).filter((name) => options.names.includes(name))
    for (const depth of depthsOf(workload)) {
      const result = await measure(await cellFor(workload, depth, options), names, options.rounds, random)
      results.push(result)
      console.log(`\n${table(result)}`)
    }
  }

  const everything = { date: new Date().toISOString(), machine, options, results }
  await writeFile(new URL("./results.json", import.meta.url), JSON.stringify(everything, undefined, 2) + "\n")
  console.log("\nEvery round is in bench/results.json.")
})
