import type { RunnerTask, RunnerTestFile } from "vitest"
import type { Reporter } from "vitest/reporters"
import { findBeanstalkd, howToInstall } from "./beanstalkd.ts"

const leftOut = (task: RunnerTask): number =>
  "tasks" in task ? task.tasks.reduce((sum, inner) => sum + leftOut(inner), 0) : Number(task.mode === "skip")

/** Ends a run without a beanstalkd with a notice that cannot be overlooked. */
export class LeftOut implements Reporter {
  onFinished(files: Array<RunnerTestFile>) {
    if (findBeanstalkd() !== undefined) return
    const count = files.reduce((sum, file) => sum + leftOut(file), 0)
    const rule = "=".repeat(100)
    process.stdout.write(
      `\n${rule}\n${count} TESTS WERE LEFT OUT: they need a real beanstalkd, and there is none here.\n${howToInstall}\n${rule}\n\n`
    )
  }
}
