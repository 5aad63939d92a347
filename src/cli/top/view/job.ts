/** The page of a job: its statistics, and its body. */
import { headingOf } from "../../jobHeading.ts"
import { escapeControls } from "../../terminal/escape.ts"
import { plain, type Style } from "../../terminal/style.ts"
import { cut } from "../../terminal/width.ts"
import { bodyHeight, wrappedBody } from "../jobBody.ts"
import type { JobPage, Model } from "../model.ts"
import { line } from "./line.ts"

export const jobPageLines = ({ size }: Model, page: JobPage, style: Style): ReadonlyArray<string> => {
  const { columns } = size
  const lines = wrappedBody(page, columns)
  const height = bodyHeight(size)
  const offset = Math.max(0, Math.min(page.offset, lines.length - height))
  return [...heading(page, columns, style), "", ...lines.slice(offset, offset + height)]
}

/** Three lines, whatever is known. */
const heading = ({ id, isGone, job }: JobPage, columns: number, style: Style): ReadonlyArray<string> => {
  const gone = isGone ? [{ text: ` job ${id} is gone`, style: style.red }] : []
  if (job === undefined) return [line(isGone ? gone : [{ text: ` reading job ${id}` }], columns), "", ""]
  const [title = "", ...lines] = headingOf(job.stats, job.size, "", { printable: escapeControls, style: plain })
  return [
    line([{ text: title, style: style.bold }, ...gone], columns),
    ...lines.map((text) => cut(text, columns))
  ]
}
