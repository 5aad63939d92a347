/** The links of the pages in `docs/`, which are written as they work in the repository. */
import { join, posix, relative } from "node:path"
import type { MarkdownRenderer } from "vitepress"
import { repository, root } from "./repository.ts"

/** A module that has a page in the API reference. */
const publicModule = /^src\/((?:node\/)?[A-Z]\w+)\.ts$/

/** What a link leads to on the site, if that is not what it leads to in the repository. */
const onSite = (page: string, href: string): string | undefined => {
  if (/^[a-z]+:|^[#/]/.test(href)) return undefined
  const target = posix.join(posix.dirname(page), href)
  if (/^(docs|site)\//.test(target)) return undefined
  const [, module] = publicModule.exec(target) ?? []
  return module === undefined ? `${repository}/blob/main/${target}` : `/api/${module}`
}

/** Leads links to a module's source to its page, and links to other files of the repository to the repository. */
export const links = (markdown: MarkdownRenderer): void => {
  markdown.core.ruler.push("links of the repository", ({ env, tokens }) => {
    const page = join("docs", relative(join(root, "site/pages"), env.realPath ?? env.path))
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === "link_open" ? onSite(page, token.attrGet("href") ?? "") : undefined
      if (href !== undefined) token.attrSet("href", href)
    }
  })
}
