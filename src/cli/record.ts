/** Objects of the library as records of `--json`: the keys of the protocol, with `_` for `-`. */
import type { JobStats, ServerStats, TubeStats } from "../Stats.ts"

const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

export type Record = Readonly<{ [key: string]: unknown }>

/** Every key of the statistics; those that this version does not have are as the server wrote them. */
export const statsRecord = ({ unknown, ...known }: ServerStats | TubeStats | JobStats): Record =>
  Object.fromEntries([
    ...Object.entries(known).map(([key, value]) => [snakeCase(key), value]),
    ...Object.entries(unknown).map(([key, value]) => [key.replaceAll("-", "_"), value])
  ])

/** A body as text if it is UTF-8, else as `undefined`. */
export const textOf = (body: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return undefined
  }
}

/** A body as a part of a record: nothing of it is lost. */
export const bodyRecord = (body: Uint8Array): Record => {
  const text = textOf(body)
  return text === undefined ? { body_base64: Buffer.from(body).toString("base64") } : { body: text }
}
