/** The keys, in some words. */
import type { Style } from "../../terminal/style.ts"
import { pad } from "../../terminal/width.ts"
import { wrapWords } from "../../terminal/wrap.ts"
import { line } from "./line.ts"

const keys: ReadonlyArray<readonly [keys: string, does: string]> = [
  ["↑ ↓", "choose another row; page up, page down, home and end as well"],
  ["⏎ Esc", "open a tube or a job; back"],
  ["/", "only tubes whose name has a text in it, or fits a pattern (* and ?)"],
  ["s r", "sort by another column; reverse the order"],
  ["f + -", "freeze: read nothing until f is pressed again; read more, less often"],
  ["space", "mark a tube or a job: acts are on all that are marked"],
  ["k", "kick: the buried jobs of a tube, or a job"],
  ["p x", "pause a tube; delete its jobs, in a tube those that are listed"],
  ["m", "move the jobs of a tube, or a job, to another tube"],
  ["b d", "bury a job; delete a job"],
  ["← → u", "in a tube: jobs in another state; look for them once more"],
  ["Ctrl-L", "write the whole screen again (Ctrl-Z: back to the shell)"],
  ["q", "quit"]
]

const notes = [
  "IN/s and OUT/s are the jobs put and deleted per second. The bars are the last numbers of ready jobs: the lowest is the least of them.",
  "Red: jobs are buried. Yellow: ready jobs, but no worker. Dim: paused.",
  "To find jobs, one with the longest delay is put into effect-beanstalk/newest, and deleted: it tells the newest id.",
  "Tubes that are not on screen are read less often: the server spends less than a tenth of its time on them."
]

const keyColumns = 10

export const helpLines = (columns: number, style: Style): ReadonlyArray<string> => {
  const room = Math.max(10, columns - keyColumns - 2)
  const described = keys.flatMap(([key, does]) =>
    wrapWords(does, room).map((text, index) =>
      line([{ text: ` ${pad(index === 0 ? key : "", keyColumns)}`, style: style.bold }, { text }], columns)
    )
  )
  const explained = notes.flatMap((note) => wrapWords(note, Math.max(10, columns - 2))).map((text) => ` ${text}`)
  return [line([{ text: " Keys", style: style.bold }], columns), ...described, "", ...explained]
}
