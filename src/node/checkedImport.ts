/**
 * Loads a module of this package for Node, Bun and Deno, and says which Effect the package needs if another one is installed: the runtime
 * would only say that some file or function of Effect is missing.
 *
 * `scripts/checkedEntries.ts` writes the modules that use this. Bundlers take the modules themselves.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

/** For `import`: a runtime looks for all imports before it runs any module, so that only a dynamic import can be caught. */
export const load = async <A>(importModule: () => Promise<A>): Promise<A> => {
  try {
    return await importModule()
  } catch (cause) {
    throw explained(cause)
  }
}

/** For `require`, which cannot load a module that awaits. */
export const loadSync = <A>(requireModule: () => A): A => {
  try {
    return requireModule()
  } catch (cause) {
    throw explained(cause)
  }
}

const explained = (cause: unknown): unknown => {
  const version = installedVersion()
  if (version === undefined || version.startsWith("3.")) return cause
  return new Error(
    `effect-beanstalk needs Effect 3 (3.19 or later), but version ${version} of effect is installed. ` +
      "Install effect@^3.19, with versions of the @effect packages that belong to it: @effect/platform from 0.94 and, " +
      "for effect-beanstalk/node, @effect/platform-node from 0.104, both below 1.",
    { cause }
  )
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
