/**
 * Writes the command line into `dist/cli/`, with all that it imports, so that it runs without any other package:
 *
 * - `main.js`, with a file for each command, which is read when that command runs;
 * - `look.js`, the commands that need one connection and no more, in one file. Reading `main.js` and what it shares with the other
 *   files takes a third of the time in which Node starts more than reading one file;
 * - `beanstalk.js`, which runs one of them.
 */
import { build, type BuildOptions, type Plugin } from "esbuild"
import { chmodSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"

const root = join(import.meta.dirname, "..")

const outdir = join(root, "dist/cli")

/** The commands of `look.js`, by the names of their files, which are those of the commands. */
const light = ["stats", "job", "peek", "wait"]

/**
 * Imports that serve nothing here, by whom they are made, and that would take a sixth of the time in which a short command starts:
 * commander can run subcommands that are programs, and a Socket can become a Channel, with all that Streams are made of. What is
 * bundled has no use for either.
 */
const unused: ReadonlyArray<readonly [path: RegExp, importer: RegExp]> = [
  [/^node:child_process$/, /\/commander\//],
  [/^effect\/(Channel|Mailbox)$/, /\/(Node)?Socket\.js$/]
]

const withoutUnused: Plugin = {
  name: "without unused imports",
  setup: ({ onLoad, onResolve }) => {
    for (const [filter, by] of unused) {
      onResolve({ filter }, ({ importer, path }) => by.test(importer) ? { path, namespace: "unused" } : undefined)
    }
    onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "" }))
  }
}

const isLight = (path: string) => [...light, "help"].includes(basename(path, ".ts"))

/** What the light commands import only when it is needed is what they do not need. */
const withoutOthers: Plugin = {
  name: "without what light commands do not use",
  setup: ({ onResolve }) =>
    onResolve(
      { filter: /\.ts$/ },
      ({ kind, path }) =>
        kind === "dynamic-import" && !isLight(path) ? { path: "./main.js", external: true } : undefined
    )
}

/** What is bundled may be CommonJS, which calls `require` when it runs. */
const require =
  "import{createRequire as createRequireHere}from'node:module';const require=createRequireHere(import.meta.url);"

const options: BuildOptions = {
  entryPoints: [join(root, "src/cli/main.ts")],
  outdir,
  absWorkingDir: root,
  tsconfig: join(root, "tsconfig.json"),
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  banner: { js: require },
  legalComments: "none",
  logLevel: "error"
}

/** Later versions of Node keep what they have compiled. */
const entry = `#!/usr/bin/env node
import * as Module from "node:module"
Module.enableCompileCache?.()
await import(${JSON.stringify(light)}.includes(process.argv[2]) ? "./look.js" : "./main.js")
`

rmSync(outdir, { recursive: true, force: true })
await build({ ...options, entryNames: "look", plugins: [withoutUnused, withoutOthers] })
await build({ ...options, chunkNames: "[name]-[hash]", splitting: true, plugins: [withoutUnused] })
writeFileSync(join(outdir, "beanstalk.js"), entry)
chmodSync(join(outdir, "beanstalk.js"), 0o755)
