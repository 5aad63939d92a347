/** The body of a job on the screen. */
import type { Size } from "../terminal/terminal.ts"
import { wrapAnywhere } from "../terminal/wrap.ts"
import type { JobPage } from "./model.ts"

/** The lines that are not of the body: the server, three of the job, one that is empty, and one for the keys. */
const otherLines = 6

export const bodyHeight = ({ rows }: Size): number => Math.max(0, rows - otherLines)

/** The lines of the body, none wider than the screen. */
export const wrappedBody = ({ job }: JobPage, columns: number): ReadonlyArray<string> =>
  (job?.body ?? []).flatMap((line) => wrapAnywhere(line, columns))
