/** Metrics as Prometheus takes them. */

/** A value, and the labels that tell it from the others of its name. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** All samples of a name. */
export interface Family {
  readonly name: string
  readonly type: "counter" | "gauge"
  readonly help: string
  readonly samples: ReadonlyArray<Sample>
}

/** A metric of one value. */
export const single = (type: Family["type"], name: string, help: string, value: number): Family => ({
  name,
  type,
  help,
  samples: [{ labels: {}, value }]
})

/** The content type of {@link textOf}. */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\"": "\\\"", "\n": "\\n" }

const escaped = (text: string) => text.replace(/[\\"\n]/g, (character) => escapes[character] ?? character)

const labelsText = (labels: Sample["labels"]): string => {
  let pairs = ""
  for (const name in labels) pairs += `${pairs === "" ? "" : ","}${name}="${escaped(labels[name] ?? "")}"`
  return pairs === "" ? "" : `{${pairs}}`
}

const familyText = ({ help, name, samples, type }: Family): string =>
  [
    `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`,
    ...samples.map(({ labels, value }) => `${name}${labelsText(labels)} ${value}\n`)
  ].join("")

/** The text format of Prometheus, version 0.0.4. */
export const textOf = (families: ReadonlyArray<Family>): string =>
  families.filter(({ samples }) => samples.length > 0).map(familyText).join("")

/** The same as records of `--json`. */
export const recordsOf = (families: ReadonlyArray<Family>): ReadonlyArray<object> =>
  families.flatMap(({ name, samples, type }) => samples.map(({ labels, value }) => ({ name, type, labels, value })))
