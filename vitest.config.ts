import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { LeftOut } from "./test/support/leftOut.ts"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: "effect-beanstalk/node", replacement: file("./src/node/index.ts") },
      { find: "effect-beanstalk", replacement: file("./src/index.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts", "scratchpad/**/*.test.ts"],
    globalSetup: ["test/support/requireServer.ts"],
    reporters: ["default", new LeftOut()],
    testTimeout: 30_000,
    typecheck: {
      enabled: true,
      include: ["test/**/*.test-d.ts"],
      tsconfig: "tsconfig.json"
    }
  }
})
