/** Where the sources are, from the library's `package.json`. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

const manifest: {
  readonly version: string
  readonly description: string
  readonly repository?: string | { readonly url: string }
} = JSON.parse(readFileSync(`${root}package.json`, "utf8"))

export const { description, version } = manifest

const { repository: given = "https://github.com/effect-beanstalk/effect-beanstalk" } = manifest

/** `https://host/owner/name` */
export const repository = (typeof given === "string" ? given : given.url).replace(/^git\+|\.git$/g, "")
