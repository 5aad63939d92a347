/** What a diagnosis has found. */

/** How bad it is, from the worst. */
export const severities = ["critical", "warning", "ok"] as const

/** Something that was looked at. */
export interface Finding {
  /** What was looked at, as one word. */
  readonly name: string
  readonly severity: (typeof severities)[number]
  /** What is so, in a sentence. */
  readonly text: string
  /** What to do about it; nothing, if it is ok. */
  readonly advice?: string
  /** All tubes that it is about, with how many of their jobs. */
  readonly tubes?: ReadonlyArray<{ readonly tube: string; readonly jobs: number }>
  /** All jobs that it is about. */
  readonly ids?: ReadonlyArray<string>
}

export const ok = (name: string, text: string): Finding => ({ name, severity: "ok", text })

/** The worst first, those that are equally bad in their order. */
export const worstFirst = (findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> =>
  severities.flatMap((severity) => findings.filter((finding) => finding.severity === severity))

/** How many tubes or jobs are told in a sentence. */
const most = 5

/** Some of a list in words: `a, b and 3 more`. */
export const some = (all: ReadonlyArray<string>): string =>
  all.length > most ? `${all.slice(0, most).join(", ")} and ${all.length - most} more` : all.join(", ")

/** Tubes as arguments of a command that somebody pastes into a shell, which would carry out what is in some names. */
export const asArguments = (tubes: ReadonlyArray<string>): string =>
  tubes.length > most
    ? "TUBE…"
    : tubes.map((tube) => /^[A-Za-z0-9_./+-]+$/.test(tube) ? tube : `'${tube}'`).join(" ")
