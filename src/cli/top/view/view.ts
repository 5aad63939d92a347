/** What the screen shows of the model: as many lines as it has rows. */
import type { Style } from "../../terminal/style.ts"
import type { Model } from "../model.ts"
import { footer } from "./footer.ts"
import { jobsLine, serverLine } from "./header.ts"
import { helpLines } from "./help.ts"
import { jobPageLines } from "./job.ts"
import { tubePageLines } from "./jobs.ts"
import { line } from "./line.ts"
import { tubeLines } from "./tubes.ts"

export const view = (model: Model, style: Style): ReadonlyArray<string> => {
  const { columns, rows } = model.size
  if (model.isHelpShown) {
    return onto(rows, helpLines(columns, style), [
      line([{ text: " any key: back", style: style.dim }], columns)
    ])
  }
  return onto(rows, [serverLine(model, style), ...pageLines(model, style)], footer(model, style))
}

const pageLines = (model: Model, style: Style): ReadonlyArray<string> => {
  const { page } = model
  switch (page._tag) {
    case "TubesPage":
      return [jobsLine(model, style), ...tubeLines(model, style)]
    case "TubePage":
      return tubePageLines(model, page, style)
    case "JobPage":
      return jobPageLines(model, page, style)
  }
}

/** Lines from the top, and others at the bottom. */
const onto = (rows: number, lines: ReadonlyArray<string>, bottom: ReadonlyArray<string>): ReadonlyArray<string> => {
  const last = bottom.slice(0, rows)
  const above = rows - last.length
  return [...Array.from({ length: above }, (_, index) => lines[index] ?? ""), ...last]
}
