import { cpSync } from "node:fs"
import { join } from "node:path"
import { defineConfig } from "vitepress"
import { checkLinks } from "./linkCheck.ts"
import { links } from "./links.ts"
import { description, repository, root, version } from "./repository.ts"
import { sidebar } from "./sidebar.ts"

/** Where the site is served, for a host that serves it below a path: `/effect-beanstalk/`. */
const base = process.env["SITE_BASE"] ?? "/"

/** The pages are copied, beside those of the API reference: outside this folder they would not find its packages. */
const pages = join(root, "site/pages")
cpSync(join(root, "docs"), pages, { recursive: true })
cpSync(join(root, "site/index.md"), join(pages, "index.md"))

export default defineConfig({
  title: "effect-beanstalk",
  description,
  base,
  lang: "en",
  // Without an icon, browsers ask for favicon.ico.
  head: [["link", { rel: "icon", href: "data:," }]],
  srcDir: "pages",
  rewrites: { "README.md": "contents.md" },
  cleanUrls: true,
  markdown: { config: links },
  buildEnd: ({ outDir }) => checkLinks(outDir, base),
  themeConfig: {
    nav: [
      { text: "Documentation", link: "/contents", activeMatch: "^/(?!api/|$)" },
      { text: "API", link: "/api/", activeMatch: "^/api/" },
      { text: version, link: repository }
    ],
    sidebar: sidebar(),
    outline: { level: [2, 3] },
    search: { provider: "local", options: { detailedView: true } },
    socialLinks: [{ icon: "github", link: repository }],
    footer: { message: "MIT licence" }
  }
})
