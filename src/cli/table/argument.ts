/** Arguments of a command, which are known by their place. An argument is an Effect that reads its value, as a flag is. */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Either from "effect/Either"
import { WrongUsage } from "../failures.ts"
import type { Value } from "../values/value.ts"
import { CommandLine } from "./commandLine.ts"
import { asSentence, readValue } from "./flag.ts"

export interface ArgumentOptions {
  /** Stands for it in usage lines and errors: `TUBE`. */
  readonly name: string
  readonly summary: string
  readonly value: Value<unknown>
  /** The fewest that must be given. */
  readonly atLeast: 0 | 1
  /** Whether more than one may be given. */
  readonly isMany: boolean
  /** Whether it is what follows `--`: a command of its own, whose flags are not ours. */
  readonly isRest?: boolean
}

export class Argument<out A> extends Effectable.Class<A, WrongUsage, CommandLine> {
  readonly name: string
  readonly summary: string
  readonly value: Value<unknown>
  readonly atLeast: 0 | 1
  readonly isMany: boolean
  readonly isRest: boolean
  readonly #read: (texts: ReadonlyArray<string>) => Either.Either<A, string>

  constructor(options: ArgumentOptions, read: (texts: ReadonlyArray<string>) => Either.Either<A, string>) {
    super()
    this.name = options.name
    this.summary = options.summary
    this.value = options.value
    this.atLeast = options.atLeast
    this.isMany = options.isMany
    this.isRest = options.isRest ?? false
    this.#read = read
  }

  override commit(): Effect.Effect<A, WrongUsage, CommandLine> {
    return Effect.flatMap(CommandLine, (given) =>
      Either.mapLeft(
        this.#read(given.arguments.get(this.name) ?? []),
        (wrong) => new WrongUsage({ message: `${this.name}: ${asSentence(wrong)}` })
      ))
  }
}

interface Doc {
  readonly summary: string
  /** Stands for it in usage lines, if not what the kind of value has. */
  readonly name?: string
}

const named = <A>(value: Value<A>, doc: Doc) => ({ name: doc.name ?? value.metavar, summary: doc.summary, value })

export const one = <A>(value: Value<A>, doc: Doc): Argument<A> =>
  new Argument({ ...named(value, doc), atLeast: 1, isMany: false }, ([text]) => readValue(value, text ?? ""))

export const optional = <A>(value: Value<A>, doc: Doc): Argument<A | undefined> =>
  new Argument(
    { ...named(value, doc), atLeast: 0, isMany: false },
    ([text]) => text === undefined ? Either.right(undefined) : readValue(value, text)
  )

export const many = <A>(value: Value<A>, doc: Doc & { readonly atLeast: 0 | 1 }): Argument<ReadonlyArray<A>> =>
  new Argument(
    { ...named(value, doc), atLeast: doc.atLeast, isMany: true },
    (texts) => Either.all(texts.map((text) => readValue(value, text)))
  )

/** A command of its own, after `--`. */
export const rest = (value: Value<string>, doc: Doc): Argument<ReadonlyArray<string>> =>
  new Argument({ ...named(value, doc), atLeast: 1, isMany: true, isRest: true }, Either.right)
