/** The sidebar: the sections of `docs/README.md` with the titles of the pages they link to, and the modules of the API reference. */
import { readdirSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"
import type { DefaultTheme } from "vitepress"
import { root } from "./repository.ts"

const docs = join(root, "docs")

const titleOf = (page: string): string => /^# (.+)$/m.exec(readFileSync(join(docs, page), "utf8"))?.[1] ?? page

const item = (page: string): DefaultTheme.SidebarItem => ({
  text: titleOf(page),
  link: `/${page.replace(/\.md$/, "")}`
})

const linkedPages = (section: string): ReadonlyArray<string> =>
  Array.from(section.matchAll(/\]\(([^):#]+\.md)\)/g), ([, page]) => page!)

const guide = (): Array<DefaultTheme.SidebarItem> => {
  const [, ...sections] = readFileSync(join(docs, "README.md"), "utf8").split(/^## /m)
  return sections.map((section) => ({
    text: section.slice(0, section.indexOf("\n")),
    items: linkedPages(section).map(item)
  }))
}

const modules = (folder: string): Array<DefaultTheme.SidebarItem> =>
  readdirSync(join(root, "site/pages/api", folder))
    .filter((file) => file.endsWith(".md") && file !== "index.md")
    .map((file) => file.replace(/\.md$/, ""))
    .toSorted()
    .map((module) => ({ text: module, link: posix.join("/api", folder, module) }))

export const sidebar = (): Array<DefaultTheme.SidebarItem> => [
  ...guide(),
  { text: "effect-beanstalk", items: modules("") },
  { text: "effect-beanstalk/node", items: modules("node") }
]
