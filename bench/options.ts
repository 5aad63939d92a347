import { parseArgs } from "node:util"
import { contenderNames, floor, isContenderName } from "./contenders.ts"
import type { ContenderName } from "./contenders.ts"
import { isWorkload, workloads } from "./workload.ts"
import type { Workload } from "./workload.ts"

export interface Options {
  readonly rounds: number
  /** How many operations a round has; without it, what the floor does in `seconds`. */
  readonly operations: number | undefined
  readonly seconds: number
  readonly workloads: ReadonlyArray<Workload>
  readonly names: ReadonlyArray<ContenderName>
  readonly seed: number
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
    throw new WrongOption(`--${option} knows ${known.join(", ")}; not "${name}"`)
  })

const names = (text: string): ReadonlyArray<ContenderName> => {
  const wanted = list("only", text, contenderNames, isContenderName)
  // Without the floor there is nothing to compare with.
  return contenderNames.filter((name) => name === floor || wanted.includes(name))
}

const parse = (args: Array<string>) => {
  try {
    return parseArgs({
      args,
      options: {
        rounds: { type: "string", default: "7" },
        ops: { type: "string" },
        seconds: { type: "string", default: "0.5" },
        workloads: { type: "string", default: workloads.join(",") },
        only: { type: "string", default: contenderNames.join(",") },
        seed: { type: "string" }
      }
    }).values
  } catch (error) {
    throw new WrongOption(error instanceof Error ? error.message : String(error))
  }
}

export const readOptions = (args: Array<string>): Options => {
  const values = parse(args)
  return {
    rounds: number("rounds", values.rounds, 1, true),
    operations: values.ops === undefined ? undefined : number("ops", values.ops, 1, true),
    seconds: number("seconds", values.seconds, 0.01, false),
    workloads: list("workloads", values.workloads, workloads, isWorkload),
    names: names(values.only),
    seed: values.seed === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : number("seed", values.seed, 0, true)
  }
}
