import { BaseSequencer, type TestSpecification } from "vitest/node"

/** The files that take longest in a full run, the longest first. */
const longest = [
  "test/embedded/Worker.interruption.test.ts",
  "test/embedded/BeanstalkClient.interruption.test.ts",
  "test/contract/BeanstalkClient.putCut.test.ts",
  "test/real/Worker.growth.test.ts",
  "test/contract/BeanstalkConnection.faults.test.ts",
  "test/scripted/BeanstalkConnection.interruption.test.ts",
  "test/scripted/BeanstalkClient.connect.test.ts",
  "test/real/examples.test.ts"
]

/** Begins with the longest files, so that a run does not end with one thread that works while the others are idle. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = longest.findIndex((file) => moduleId.endsWith(file))
      return index < 0 ? longest.length : index
    }
    const sorted = await BaseSequencer.prototype.sort.call(this, files)
    return sorted.toSorted((one, other) => rank(one) - rank(other))
  }
}
