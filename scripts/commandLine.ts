/** Writes `docs/guide/command-line.md`. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { loadAll } from "../src/cli/commands.ts"
import { commandLinePage } from "./commandLinePage.ts"

writeFileSync(join(import.meta.dirname, "../docs/guide/command-line.md"), commandLinePage(await loadAll()))
