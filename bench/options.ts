import { parseArgs } from "node:util"
import { contenderNames, floor, isContenderName } from "./contenders.ts"
import type { ContenderName } from "./contenders.ts"
import type { Length } from "./measure.ts"
import { isWorkload, workloads } from "./workload.ts"
import type { Workload } from "./workload.ts"

/** The options that every comparison has. */
interface Common extends Length {
  readonly workloads: ReadonlyArray<Workload>
  readonly seed: number
}

export interface Options extends Common {
  readonly rounds: number
  readonly names: ReadonlyArray<ContenderName>
}

export interface AgainstOptions extends Common {
  /** The folder of the other checkout. */
  readonly other: string
  readonly pairs: number
}

export class WrongOption extends Error {}

const number = (option: string, text: string, least: number, integer: boolean): number => {
  const value = Number(text)
  if (text !== "" && value >= least && Number.isFinite(value) && (!integer || Number.isSafeInteger(value))) return value
  const kind = integer ? "whole number" : "number"
  throw new WrongOption(`--${option} takes a ${kind} of at least ${least}, not "${text}"`)
}

/** The names in a list, separated by commas, each of them known. */
const list = <A extends string>(
  option: string,
  text: string,
  known: ReadonlyArray<A>,
  isKnown: (name: string) => name is A
): ReadonlyArray<A> =>
  text.split(",").map((name) => name.trim()).map((name) => {
    if (isKnown(name)) return name
    throw new WrongOption(`--${option} takes ${known.join(", ")}; not "${name}"`)
  })

const namesIn = (option: string, text: string): ReadonlyArray<ContenderName> =>
  list(option, text, contenderNames, isContenderName)

/** The floor is always among them: the ratios are to it. */
const selected = (only: string | undefined, without: string | undefined): ReadonlyArray<ContenderName> => {
  const wanted = only === undefined ? contenderNames : namesIn("only", only)
  const unwanted = without === undefined ? [] : namesIn("without", without)
  return contenderNames.filter((name) => name === floor || (wanted.includes(name) && !unwanted.includes(name)))
}

const common = {
  ops: { type: "string" },
  seconds: { type: "string", default: "0.5" },
  seed: { type: "string" }
} as const

const readCommon = (values: {
  readonly ops?: string | undefined
  readonly seconds: string
  readonly workloads: string
  readonly seed?: string | undefined
}): Common => ({
  operations: values.ops === undefined ? undefined : number("ops", values.ops, 1, true),
  seconds: number("seconds", values.seconds, 0.01, false),
  workloads: list("workloads", values.workloads, workloads, isWorkload),
  seed: values.seed === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : number("seed", values.seed, 0, true)
})

const parsed = <A>(parse: () => A): A => {
  try {
    return parse()
  } catch (error) {
    throw new WrongOption(error instanceof Error ? error.message : String(error))
  }
}

export const readOptions = (args: Array<string>): Options => {
  const { values } = parsed(() =>
    parseArgs({
      args,
      options: {
        ...common,
        workloads: { type: "string", default: workloads.join(",") },
        rounds: { type: "string", default: "7" },
        only: { type: "string" },
        without: { type: "string" }
      }
    })
  )
  return {
    ...readCommon(values),
    rounds: number("rounds", values.rounds, 1, true),
    names: selected(values.only, values.without)
  }
}

export const readAgainstOptions = (args: Array<string>): AgainstOptions => {
  const { positionals, values } = parsed(() =>
    parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...common,
        workloads: { type: "string", default: "put,reserve+delete,worker" },
        pairs: { type: "string", default: "20" }
      }
    })
  )
  const [other, ...more] = positionals
  if (other === undefined || more.length > 0) {
    throw new WrongOption("name the folder of the other checkout: npm run bench:against -- path/to/checkout")
  }
  return { ...readCommon(values), other, pairs: number("pairs", values.pairs, 1, true) }
}
