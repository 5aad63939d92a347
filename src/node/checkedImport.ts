/**
 * Imports a module of this package for Node, Bun and Deno, and says which Effect the package needs if another one is installed: the
 * runtime would only say that some file of Effect is missing, since it looks for all imports before it runs any module.
 *
 * `scripts/checkedEntries.ts` writes the modules that use this. Bundlers, and `require`, take the modules themselves.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

export const load = async <A>(importModule: () => Promise<A>): Promise<A> => {
  try {
    return await importModule()
  } catch (cause) {
    const version = installedVersion()
    if (version === undefined || version.startsWith("3.")) throw cause
    throw new Error(
      `effect-beanstalk needs Effect 3 (3.19 or later), but version ${version} of effect is installed. ` +
        "Install effect@^3.19, with versions of the @effect packages that belong to it: @effect/platform from 0.94 and, " +
        "for effect-beanstalk/node, @effect/platform-node from 0.104, both below 1.",
      { cause }
    )
  }
}

/** The version of Effect that this package would import; `undefined` if there is none. */
const installedVersion = (): string | undefined => {
  try {
    const manifest: { readonly version?: string } = JSON.parse(
      readFileSync(createRequire(import.meta.url).resolve("effect/package.json"), "utf8")
    )
    return manifest.version
  } catch {
    return undefined
  }
}
