/** Writes what has changed on the screen, and no more. */

/** Terminals that know it show all that is in between at once; the others ignore it. */
const startUpdate = "\u001b[?2026h"

const endUpdate = "\u001b[?2026l"

const clear = "\u001b[2J"

/** At the beginning of a line, which is emptied before: after a line as wide as the terminal its last character would be lost. */
const lineAt = (row: number) => `\u001b[${row + 1};1H\u001b[2K`

/** What to write so that a screen with the lines `before`, or an unknown one, shows `after`. Nothing if that is so. */
export const changes = (before: ReadonlyArray<string> | undefined, after: ReadonlyArray<string>): string => {
  const changed = after
    .map((line, row) => line === before?.[row] ? "" : lineAt(row) + line)
    .join("")
  if (changed === "") return ""
  return `${startUpdate}${before === undefined ? clear : ""}${changed}${endUpdate}`
}
