/**
 * Writes two files into `dist/checked/` for each module that programs can import: one for `import`, one for `require`. They export the
 * same, and say which Effect the package needs if another one is installed: see `src/node/checkedImport.ts`. `package.json` leads Node,
 * Bun and Deno there.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const dist = join(import.meta.dirname, "../dist")

/** What `dist/node/` has besides modules that programs can import. */
const notForImport = new Set(["checkedImport.js"])

const modulesIn = (folder: string) =>
  readdirSync(join(dist, folder)).filter((file) => file.endsWith(".js") && !notForImport.has(file))

const writeChecked = async (folder: string, up: string): Promise<void> => {
  mkdirSync(join(dist, "checked", folder), { recursive: true })
  for (const file of modulesIn(folder)) {
    const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(join(dist, folder, file)).href)
    const names = Object.keys(module).join(", ")
    const checked = join(dist, "checked", folder, file)
    writeFileSync(
      checked,
      `import { load } from "${up}node/checkedImport.js"\n` +
        `export const { ${names} } = await load(() => import("${up}${folder}${file}"))\n`
    )
    writeFileSync(
      checked.replace(/\.js$/, ".cjs"),
      `const { loadSync } = require("${up}node/checkedImport.js")\n` +
        `module.exports = loadSync(() => require("${up}${folder}${file}"))\n`
    )
  }
}

await writeChecked("", "../")
await writeChecked("node/", "../../")
