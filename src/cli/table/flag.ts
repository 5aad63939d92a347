/**
 * Flags. A flag is an Effect that reads its value from the command line, so that `Effect.all` of a record of flags has the type of
 * their values.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Either from "effect/Either"
import { WrongUsage } from "../failures.ts"
import type { Value } from "../values/value.ts"
import { CommandLine } from "./commandLine.ts"

/** How a flag is described. */
export interface Doc {
  readonly summary: string
  /** One letter or digit: `-p`. */
  readonly short?: string
  /** The unit of a value that has one: `seconds`. */
  readonly unit?: string
  /** Stands for the value in usage lines, if not what the kind of value has. */
  readonly metavar?: string
  /** The environment variable that is read when the flag is not given. */
  readonly env?: string
}

export interface FlagOptions extends Doc {
  readonly name: string
  /** The kind of value. A flag without one is on or off. */
  readonly value?: Value<unknown>
  /** The text that is read when the flag is not given. */
  readonly default?: string
  /** Whether it may be given several times, or with commas. */
  readonly isRepeatable?: boolean
}

export class Flag<out A> extends Effectable.Class<A, WrongUsage, CommandLine> {
  readonly name: string
  readonly summary: string
  readonly short: string | undefined
  readonly unit: string | undefined
  readonly env: string | undefined
  readonly value: Value<unknown> | undefined
  readonly metavar: string | undefined
  readonly default: string | undefined
  readonly isRepeatable: boolean
  readonly #read: (texts: ReadonlyArray<string>) => Either.Either<A, string>

  constructor(options: FlagOptions, read: (texts: ReadonlyArray<string>) => Either.Either<A, string>) {
    super()
    this.name = options.name
    this.summary = options.summary
    this.short = options.short
    this.unit = options.unit
    this.env = options.env
    this.value = options.value
    this.metavar = options.metavar ?? options.value?.metavar
    this.default = options.default
    this.isRepeatable = options.isRepeatable ?? false
    this.#read = read
  }

  override commit(): Effect.Effect<A, WrongUsage, CommandLine> {
    return Effect.flatMap(CommandLine, ({ env, flags }) => {
      const given = flags.get(this.name)
      const variable = this.env === undefined ? undefined : env[this.env]
      const [source, texts] = given !== undefined
        ? [`--${this.name}`, given]
        : variable !== undefined && variable !== ""
        ? [this.env, [variable]]
        : [`--${this.name}`, this.default === undefined ? [] : [this.default]]
      return Either.mapLeft(
        this.#read(texts),
        (wrong) => new WrongUsage({ message: `${source}: ${asSentence(wrong)}` })
      )
    })
  }
}

export const asSentence = (text: string): string => /[.?]$/.test(text) ? text : `${text}.`

/** A text with what is wrong with it. */
export const readValue = <A>(value: Value<A>, text: string): Either.Either<A, string> =>
  Either.mapLeft(value.read(text), (wrong) => `${JSON.stringify(text)} ${wrong}`)

/** A flag that is on when it is given. */
export const on = (name: string, doc: Doc): Flag<boolean> =>
  new Flag({ ...doc, name }, (texts) => Either.right(texts.length > 0))

/** How often it was given. */
export const times = (name: string, doc: Doc): Flag<number> =>
  new Flag({ ...doc, name, isRepeatable: true }, (texts) => Either.right(texts.length))

/** The last value that was given, if any was. */
export const optional = <A>(name: string, value: Value<A>, doc: Doc): Flag<A | undefined> =>
  new Flag({ ...doc, name, value }, (texts) => {
    const text = texts.at(-1)
    return text === undefined ? Either.right(undefined) : readValue(value, text)
  })

/** The last value that was given, or the default. */
export const withDefault = <A>(
  name: string,
  value: Value<A>,
  doc: Doc & { readonly default: string }
): Flag<A> => new Flag({ ...doc, name, value }, (texts) => readValue(value, texts.at(-1) ?? doc.default))

/** All values that were given, each for itself or with commas, or those of the default. */
export const repeated = <A>(
  name: string,
  value: Value<A>,
  doc: Doc & { readonly default?: string }
): Flag<ReadonlyArray<A>> =>
  new Flag(
    { ...doc, name, value, isRepeatable: true },
    (texts) => Either.all(texts.flatMap((text) => text.split(",")).map((text) => readValue(value, text)))
  )

/** All values that were given, each for itself: a comma is a part of one. */
export const each = <A>(name: string, value: Value<A>, doc: Doc): Flag<ReadonlyArray<A>> =>
  new Flag(
    { ...doc, name, value, isRepeatable: true },
    (texts) => Either.all(texts.map((text) => readValue(value, text)))
  )
