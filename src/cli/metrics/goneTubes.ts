/**
 * What tubes had counted that are gone, so that the counter of a label for many tubes grows only: without it, Prometheus would take
 * the end of one tube for a restart, and count all jobs of the others again.
 */
import type { Counts, Labelled } from "./tubeFamilies.ts"

/** What was seen the last time, and what has gone before. */
export interface Memory {
  readonly tubes: ReadonlyMap<string, Counts & { readonly label: string }>
  readonly gone: ReadonlyMap<string, Counts>
}

const nothing: Counts = { puts: 0, deletes: 0 }

export const empty: Memory = { tubes: new Map(), gone: new Map() }

export const goneOf = ({ gone }: Memory) => (label: string): Counts => gone.get(label) ?? nothing

const plus = (one: Counts, other: Counts): Counts => ({
  puts: one.puts + other.puts,
  deletes: one.deletes + other.deletes
})

/** Remembers these tubes, and what those had counted that are gone or were made anew since. A label without tubes is forgotten. */
export const remember = ({ gone, tubes }: Memory, found: ReadonlyArray<Labelled>): Memory => {
  const seen = new Map<string, Counts & { readonly label: string }>(
    found.map(({ label, stats }) => [stats.name, { label, puts: stats.totalJobs, deletes: stats.cmdDelete }])
  )
  const labels = new Set(found.map(({ label }) => label))
  const all = new Map([...gone].filter(([label]) => labels.has(label)))
  for (const [name, before] of tubes) {
    const now = seen.get(name)
    const isSame = now !== undefined && now.puts >= before.puts && now.deletes >= before.deletes
    if (!isSame && labels.has(before.label)) all.set(before.label, plus(all.get(before.label) ?? nothing, before))
  }
  return { tubes: seen, gone: all }
}
