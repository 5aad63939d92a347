/**
 * Programs for processes of their own, each bundled with all that it imports, so that plain `node` runs them: `tsx` takes
 * seconds of CPU time to start one.
 */
import * as Effect from "effect/Effect"
import { build, type Plugin } from "esbuild"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { inject } from "vitest"

/** The folder of the project, where its programs are used to run. */
export const root = fileURLToPath(new URL("../..", import.meta.url))

const programsIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => `${folder}/${file}`)

/** What is bundled may be CommonJS, which calls `require` when it runs. */
const require = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"

/** Programs find files beside their sources, not beside the bundle. */
const urlOfSource: Plugin = {
  name: "import.meta.url is that of the source",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/scratchpad\/[^/]+\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
      loader: "ts"
    }))
}

/** All of them in one go, since they share most of their code: that takes little longer than one of them. */
const buildAll = async () => {
  mkdirSync(inject("programs"), { recursive: true })
  const outdir = mkdtempSync(join(inject("programs"), "bundled-"))
  await build({
    entryPoints: [...programsIn("scratchpad"), ...programsIn("test/fixtures"), "src/cli/main.ts"],
    outdir,
    outbase: root,
    outExtension: { ".js": ".mjs" },
    absWorkingDir: root,
    tsconfig: join(root, "tsconfig.json"),
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    banner: { js: require },
    plugins: [urlOfSource],
    logLevel: "error"
  })
  return outdir
}

let built: Promise<string> | undefined

/** The bundle of a program, which is named by its path in the project, for `node` to run. */
export const bundle = (program: string): Effect.Effect<string> =>
  Effect.map(Effect.promise(() => built ??= buildAll()), (folder) => join(folder, program.replace(/\.ts$/, ".mjs")))
