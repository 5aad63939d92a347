/** Patterns of names: `*` is any text, `?` one character, `[a-c]` one of these and `[!a-c]` one of the others. */

const oneCharacter = (token: string): string => {
  const [, not, set] = /^\[(!?)(.+)\]$/s.exec(token) ?? []
  if (set !== undefined) return `[${not === "" ? "" : "^"}${set.replace(/[\\\]^]/g, "\\$&")}]`
  return token === "?" ? "." : token.replace(/[^A-Za-z0-9]/, "\\$&")
}

/**
 * Throws for a range that is none.
 *
 * Each `*` takes the shortest text that lets what follows it match, which a group inside `(?=)` does not give up later. With `.*` alone,
 * a name of 200 characters was matched with `*a*a*a*a*a*b` for minutes: every split of it was tried.
 */
export const regexOfGlob = (glob: string): RegExp => {
  const parts = [""]
  for (const token of glob.match(/\[!?[^\]]+\]|[^]/g) ?? []) {
    if (token === "*") parts.push("")
    else parts.push(`${parts.pop() ?? ""}${oneCharacter(token)}`)
  }
  const [first = "", ...others] = parts
  const last = others.pop()
  if (last === undefined) return new RegExp(`^${first}$`, "s")
  const between = others.map((part, index) => `(?=(.*?${part}))\\${index + 1}`)
  return new RegExp(`^${first}${between.join("")}.*${last}$`, "s")
}
