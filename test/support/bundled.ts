/** Programs for processes of their own. In one file they start in no time, of which a test may need many. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { buildSync } from "esbuild"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "./beanstalkd.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What is bundled may be CommonJS, and ask for modules of Node's as they come. */
const require = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"

/** A program below `test` and all that it imports, in a file for `node` that is there until the scope closes. */
export const bundle = (program: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(temporaryFolder, (folder) => {
    const outfile = join(folder, "program.mjs")
    buildSync({
      entryPoints: [join(root, "test", program)],
      outfile,
      absWorkingDir: root,
      tsconfig: join(root, "tsconfig.json"),
      bundle: true,
      platform: "node",
      format: "esm",
      banner: { js: require },
      logLevel: "error"
    })
    return outfile
  })
