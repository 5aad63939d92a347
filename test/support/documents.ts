/** The README, the pages in `docs/` and the docstrings in `src/`, and the code that they show. */
import { readdirSync, readFileSync } from "node:fs"
import { root } from "./bundled.ts"

/** A page in Markdown. */
export interface Document {
  /** Its path in the project. */
  readonly path: string
  readonly text: string
}

/** A block of code that a document shows. */
export interface Block {
  readonly document: string
  /** The line of its first line of code. */
  readonly line: number
  readonly code: string
  /** The lines that it prints, if the document shows them in a block of text behind it. */
  readonly prints: ReadonlyArray<string> | undefined
}

export const documents: ReadonlyArray<Document> = [
  "README.md",
  ...readdirSync(`${root}/docs`, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md") && !file.includes("node_modules"))
    .toSorted()
    .map((file) => `docs/${file}`)
].map((path) => ({ path, text: readFileSync(`${root}/${path}`, "utf8") }))

const fence = /^```ts\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms

/** The blocks of TypeScript in a document. */
export const blocksOf = ({ path, text }: Document): ReadonlyArray<Block> =>
  Array.from(text.matchAll(fence), ({ 1: code = "", 2: prints, index }) => ({
    document: path,
    line: text.slice(0, index).split("\n").length + 1,
    code,
    prints: prints?.trimEnd().split("\n")
  }))

/** The modules of the package. */
export const modules: ReadonlyArray<Document> = readdirSync(`${root}/src`, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .toSorted()
  .map((file) => ({ path: `src/${file}`, text: readFileSync(`${root}/src/${file}`, "utf8") }))

const fenceInDocstring = /^ *\* ```ts\n(.*?)^ *\* ```$/gms

/** The blocks of TypeScript in the docstrings of a module. What they declare is exported, since nothing uses it. */
export const docstringBlocksOf = ({ path, text }: Document): ReadonlyArray<Block> =>
  Array.from(text.matchAll(fenceInDocstring), ({ 1: lines = "", index }) => ({
    document: path,
    line: text.slice(0, index).split("\n").length + 1,
    code: lines.replaceAll(/^ *\* ?/gm, "").replaceAll(/^(?=const |type )/gm, "export "),
    prints: undefined
  }))
