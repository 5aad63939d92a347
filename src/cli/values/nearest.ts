/** The known word that was probably meant. */

/** How many letters must be inserted, deleted, replaced or swapped with their neighbour to make one word of the other. */
const distance = (from: string, to: string): number => {
  const rows = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      current.push(Math.min(
        (rows[row - 1]?.[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (rows[row - 1]?.[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (rows[row - 2]?.[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      ))
    }
    rows.push(current)
  }
  return rows[from.length]?.[to.length] ?? 0
}

/** The nearest of the words, unless more than a third of it would have to change. Long words cost time, and are left out. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  let best: { readonly word: string; readonly distance: number } | undefined
  for (const candidate of known) {
    const longest = Math.max(word.length, candidate.length)
    if (longest > 200 || Math.abs(word.length - candidate.length) > longest / 3) continue
    const away = distance(word, candidate)
    if (away <= Math.max(1, longest / 3) && away < (best?.distance ?? Number.POSITIVE_INFINITY)) {
      best = { word: candidate, distance: away }
    }
  }
  return best?.word
}

/** ` Did you mean emails?`, or nothing. */
export const didYouMean = (word: string, known: Iterable<string>): string => {
  const meant = nearest(word, known)
  return meant === undefined ? "" : ` Did you mean ${meant}?`
}
