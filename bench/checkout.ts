/** A checkout of this project made ready to be measured, without a change to its own folder. */
import { execFile } from "node:child_process"
import { access, cp, mkdir, symlink } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { WrongOption } from "./options.ts"

const thisBench = fileURLToPath(new URL(".", import.meta.url))

/**
 * Builds a checkout into a folder: its `dist` by its own compiler, its dependencies as a link, and with them a copy of this
 * bench, so that both sides of a comparison are measured by the same code and neither loads a second `effect`. Returns the
 * folder of that copy.
 */
export const stage = async (checkout: string, target: string): Promise<URL> => {
  const source = resolve(checkout)
  const compiler = join(source, "node_modules", ".bin", "tsc")
  const project = join(source, "tsconfig.build.json")
  try {
    await Promise.all([compiler, project].map((path) => access(path)))
  } catch {
    throw new WrongOption(`${checkout} is no checkout of this project with its dependencies installed`)
  }
  await mkdir(target, { recursive: true })
  await promisify(execFile)(compiler, ["-p", project, "--outDir", join(target, "dist")])
  await cp(join(source, "package.json"), join(target, "package.json"))
  await symlink(join(source, "node_modules"), join(target, "node_modules"))
  await cp(thisBench, join(target, "bench"), {
    recursive: true,
    filter: (path) => basename(path) !== "node_modules"
  })
  return pathToFileURL(join(target, "bench") + "/")
}
