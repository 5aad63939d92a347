/** Follows the links within the built site to their anchors, which VitePress does not check. */
import { readdirSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"

interface Page {
  readonly path: string
  readonly anchors: ReadonlySet<string>
  readonly links: ReadonlyArray<string>
}

const unescaped = (text: string) => decodeURIComponent(text.replaceAll("&amp;", "&"))

const readPage = (folder: string, path: string): Page => {
  const html = readFileSync(join(folder, path), "utf8")
  const all = (pattern: RegExp) => Array.from(html.matchAll(pattern), ([, value]) => unescaped(value!))
  return { path, anchors: new Set(all(/ id="([^"]+)"/g)), links: all(/<a [^>]*?href="([^"]+)"/g) }
}

/** Fails with every link that leads to no page of the site, or to no anchor of its page. */
export const checkLinks = (folder: string, base: string): void => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((file) => file.replaceAll("\\", "/"))
  const pages = new Map(
    files.filter((file) => file.endsWith(".html")).map((file) => [file, readPage(folder, file)])
  )
  const leadsSomewhere = (from: Page, link: string): boolean => {
    if (/^[a-z]+:/.test(link)) return true
    const [path = "", anchor = ""] = link.split("#")
    const target = path === ""
      ? from.path
      : path.startsWith("/")
      ? path.slice(base.length)
      : posix.join(posix.dirname(from.path), path)
    const page = [target, `${target}.html`, posix.join(target, "index.html")].find((file) => pages.has(file))
    if (page === undefined) return files.includes(target)
    return anchor === "" || pages.get(page)!.anchors.has(anchor)
  }
  const dead = [...pages.values()].flatMap((page) =>
    page.links.filter((link) => !leadsSomewhere(page, link)).map((link) => `${page.path}: ${link}`)
  )
  if (dead.length > 0) throw new Error(`Links that lead nowhere:\n${dead.join("\n")}`)
}
