/**
 * The number of a server in a cluster, from its address: FNV-1a, folded to 16 bits. It must never change, since ids of jobs, of which
 * the number is a part, are kept elsewhere.
 */
export const serverNumber = (address: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(address)) hash = Math.imul(hash ^ byte, 0x01000193)
  return ((hash >>> 16) ^ hash) & 0xffff
}
