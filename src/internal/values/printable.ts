/**
 * A text with its control and formatting characters escaped, for logs and error messages: a terminal would carry out what a
 * server, or another program on its port, has sent. Line feeds stay.
 */
export const printable = (text: string): string =>
  text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    const code = character.codePointAt(0)?.toString(16) ?? ""
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`
  })

/** The text in quotes, on one line. */
export const quoted = (text: string): string => printable(JSON.stringify(text))
