/**
 * The number of a server in a cluster, from its address: FNV-1a, folded to 16 bits. It must never change, since ids of jobs, of which
 * the number is a part, are kept elsewhere.
 */
export const serverNumber = (address: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(address)) hash = Math.imul(hash ^ byte, 0x01000193)
  return ((hash >>> 16) ^ hash) & 0xffff
}

/** Two servers that cannot be in one cluster, since they would have the same ids. */
export interface Clash {
  readonly number: number
  readonly one: string
  /** The same address, if one was given twice. */
  readonly other: string
}

/** The first of these addresses whose number is that of one before it. */
export const findClash = (addresses: Iterable<string>): Clash | undefined => {
  const seen = new Map<number, string>()
  for (const other of addresses) {
    const number = serverNumber(other)
    const one = seen.get(number)
    if (one !== undefined) return { number, one, other }
    seen.set(number, other)
  }
  return undefined
}
