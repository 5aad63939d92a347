/** What the screen shows of the model: as many lines as it has rows. */
import type { Style } from "../../terminal/style.ts"
import type { Model } from "../model.ts"
import { footer } from "./footer.ts"
import { jobsLine, serverLine } from "./header.ts"
import { helpLines } from "./help.ts"
import { line } from "./line.ts"
import { tubeLines } from "./tubes.ts"

export const view = (model: Model, style: Style): ReadonlyArray<string> => {
  const { columns, rows } = model.size
  if (model.isHelpShown) {
    return onto(rows, helpLines(columns, style), line([{ text: " any key: back", style: style.dim }], columns))
  }
  return onto(
    rows,
    [serverLine(model, style), jobsLine(model, style), ...tubeLines(model, style)],
    footer(model, style)
  )
}

/** Lines from the top, and one at the bottom. */
const onto = (rows: number, lines: ReadonlyArray<string>, last: string): ReadonlyArray<string> =>
  Array.from({ length: rows }, (_, index) => index === rows - 1 ? last : lines[index] ?? "")
