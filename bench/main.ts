/** Runs the bench. `README.md` in this folder says what it measures. */
import { writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import { namesIn } from "./contenders.ts"
import { calibrate, cellOf, measure } from "./measure.ts"
import type { CellResult } from "./measure.ts"
import { readOptions, WrongOption } from "./options.ts"
import { seeded } from "./random.ts"
import { table } from "./report.ts"
import { NoBeanstalkd, serverVersion } from "./server.ts"
import { depthsOf } from "./workload.ts"

const main = async (): Promise<void> => {
  const options = readOptions(process.argv.slice(2))
  const machine = {
    beanstalkd: await serverVersion(),
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`
  }
  console.log(`${machine.beanstalkd}, Node ${machine.node}, ${machine.cpu}`)
  console.log(
    `${options.rounds} rounds in the order of --seed ${options.seed}; ratios are to the floor of the same round`
  )

  const random = seeded(options.seed)
  const results: Array<CellResult> = []
  for (const workload of options.workloads) {
    const names = namesIn(workload).filter((name) => options.names.includes(name))
    for (const depth of depthsOf(workload)) {
      const cell = options.operations === undefined
        ? await calibrate(workload, depth, options.seconds)
        : cellOf(workload, depth, options.operations)
      const result = await measure(cell, names, options.rounds, random)
      results.push(result)
      console.log(`\n${table(result)}`)
    }
  }

  const everything = { date: new Date().toISOString(), machine, options, results }
  await writeFile(new URL("./results.json", import.meta.url), JSON.stringify(everything, undefined, 2) + "\n")
  console.log("\nEvery round is in bench/results.json.")
}

try {
  await main()
} catch (error) {
  if (!(error instanceof NoBeanstalkd || error instanceof WrongOption)) throw error
  console.error(error.message)
  process.exitCode = 1
}
