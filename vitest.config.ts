import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/sequencer.ts"
import { Summary } from "./test/support/summary.ts"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Tests that measure their own process: its heap, its handles, its CPU time, or the registry of metrics. */
const measuring = [
  "test/Dashboards.test.ts",
  "test/embedded/BeanstalkClient.metrics.test.ts",
  "test/embedded/QueueMetrics.test.ts",
  "test/embedded/BeanstalkClient.putAll.test.ts",
  "test/embedded/NodeEmbeddedServer*.test.ts",
  "test/embedded/Retry.growth.test.ts",
  "test/embedded/VirtualClock.test.ts",
  "test/embedded/Worker.metrics.test.ts",
  "test/scripted/BeanstalkConnection.replies.test.ts",
  "test/unit/replyDecoder.test.ts"
]

/** Tests that go on for long, or compile everything: only a full run has them. */
const lasting = ["test/package/Package.test.ts", "test/real/Worker.growth.test.ts"]

const seed = Number(process.env["EFFECT_BEANSTALK_SEED"] ?? Date.now() % 2 ** 32)

export default defineConfig(({ mode }) => {
  const resolve = {
    alias: [
      { find: "effect-beanstalk/node", replacement: file("./src/node/index.ts") },
      { find: "effect-beanstalk", replacement: file("./src/index.ts") }
    ]
  }
  const test = {
    setupFiles: ["test/support/setup.ts"],
    testTimeout: mode === "full" ? 600_000 : 120_000,
    provide: { seed, full: mode === "full" }
  }
  return {
    test: {
      globalSetup: ["test/support/globalSetup.ts"],
      reporters: ["default", new Summary(seed)],
      sequence: { sequencer: LongestFirst },
      // What a test logs is of use if it failed. With EFFECT_BEANSTALK_STRESS tests log their figures.
      silent: process.env["EFFECT_BEANSTALK_STRESS"] === undefined ? "passed-only" : false,
      poolOptions: { threads: { isolate: false, maxThreads: availableParallelism() } },
      projects: [
        {
          resolve,
          test: {
            ...test,
            // A thread imports Effect once for all its files, which is half of the time that most of them take.
            name: "shared",
            pool: "threads",
            include: ["test/**/*.test.ts", "scratchpad/**/*.test.ts"],
            exclude: [...measuring, ...lasting]
          }
        },
        {
          resolve,
          test: {
            ...test,
            name: "isolated",
            pool: "forks",
            include: mode === "full" ? [...measuring, ...lasting] : measuring
          }
        }
      ]
    }
  }
})
