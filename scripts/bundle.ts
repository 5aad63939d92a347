/**
 * Writes the command line into `dist/cli/`, with all that it imports, so that it runs without any other package. Each command is a
 * file of its own, which is read when the command is run.
 */
import { build } from "esbuild"
import { chmodSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

/** What is bundled may be CommonJS, which calls `require` when it runs. */
const require =
  "import{createRequire as createRequireHere}from'node:module';const require=createRequireHere(import.meta.url);"

await build({
  entryPoints: [join(root, "src/cli/main.ts")],
  outdir: join(root, "dist/cli"),
  entryNames: "beanstalk",
  chunkNames: "[name]-[hash]",
  absWorkingDir: root,
  tsconfig: join(root, "tsconfig.json"),
  bundle: true,
  splitting: true,
  minify: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  banner: { js: require },
  legalComments: "none",
  logLevel: "error"
})

chmodSync(join(root, "dist/cli/beanstalk.js"), 0o755)
