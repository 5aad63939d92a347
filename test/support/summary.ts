import type { Reporter, Vitest } from "vitest/node"
import { findBeanstalkd, howToInstall } from "./beanstalkd.ts"

const rule = "=".repeat(100)

/** Ends a run with what it left out, with the seed that repeats it, and with its result in one plain line. */
export class Summary implements Reporter {
  private readonly seed: number
  private vitest: Vitest | undefined

  constructor(seed: number) {
    this.seed = seed
  }

  onInit(vitest: Vitest) {
    this.vitest = vitest
  }

  /** The default reporter prints its own summary here: this one comes behind it. */
  onFinished(_: unknown, unhandledErrors: ReadonlyArray<unknown> = []) {
    const modules = this.vitest?.state.getTestModules() ?? []
    const count = (state: "failed" | "passed" | "skipped") =>
      modules.reduce((sum, { children }) => sum + [...children.allTests(state)].length, 0)
    // A file that cannot be read has no test that could fail.
    const broken = modules.filter((module) => module.errors().length > 0).length
    const lines = [
      `EFFECT_BEANSTALK_SEED=${this.seed} repeats this run.`,
      `${count("passed")} passed, ${count("failed") + broken + unhandledErrors.length} failed`
    ]
    if (findBeanstalkd() === undefined) {
      const missing = `${count("skipped")} TESTS WERE LEFT OUT: they need a real beanstalkd, and none is installed.`
      lines.unshift(rule, missing, howToInstall, rule)
    }
    process.stdout.write(`\n${lines.join("\n")}\n`)
  }
}
