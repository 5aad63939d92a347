/** `*` is any text, `?` one character, `[a-c]` one of these and `[!a-c]` one of the others. Throws for a range that is none. */
export const regexOfGlob = (glob: string): RegExp => {
  const source = glob.replace(/\[(!?)([^\]]+)\]|[*?]|[^A-Za-z0-9]/g, (token, not: string, set: string | undefined) => {
    if (set !== undefined) return `[${not === "" ? "" : "^"}${set.replace(/[\\\]^]/g, "\\$&")}]`
    if (token === "*") return ".*"
    return token === "?" ? "." : `\\${token}`
  })
  return new RegExp(`^${source}$`, "s")
}
