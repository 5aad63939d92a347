/** A type that only Schemas have which encode to JSON. */
import type * as Brand from "effect/Brand"
import type * as Schema from "effect/Schema"

/**
 * See `Tube.EncodesToJson`.
 *
 * In a function that is generic in `I`, where nothing is known of `I`, every Schema must have this type. A conditional type as such
 * would be no type of any Schema there. But this one is the parameter of a function, and compared with that of `_R` in
 * `Schema.Variance`, which is `never`: of a conditional type that cannot be resolved yet, the compiler asks only that its branches
 * are assignable to `never`, and does not count one that is `any`. Once it is resolved, `any` is not assignable to `never`.
 */
export interface EncodesToJson<I> {
  readonly [Schema.TypeId]: {
    readonly _R: (payloadEncodesToJson: [I] extends [Json<I>] ? never : Unassignable) => unknown
  }
}

/** This is `any`. */
type Unassignable = Schema.Schema.Type<Schema.Schema.Any>

/** What JSON can express of a type: the type itself, if it is JSON. Of what may be anything, nothing is known. */
type Json<I> = unknown extends I ? I
  : I extends string | number | boolean | null ? I
  : I extends void | bigint | symbol | Callable ? never
  : I extends ReadonlyArray<unknown> ? [I] extends [Defined<I>] ? JsonElements<I[number]> : never
  : { readonly [K in keyof I]: K extends symbol ? JsonSymbol<K, I[K]> : JsonProperty<I[K]> }

type Callable = ((...args: never) => unknown) | (abstract new(...args: never) => unknown)

/** An array whose elements cannot be `undefined`. In an array, JSON has `null` for it. */
type Defined<I> = { readonly [K in keyof I]: Exclude<I[K], undefined> }

/** An object type is resolved only when it is needed, so that the elements may be of the type of the array. */
interface JsonElements<Element> {
  readonly [index: number]: Json<Element> | undefined
}

/** A property that is `undefined` is left out. */
type JsonProperty<I> = unknown extends I ? I : I extends void ? I : Json<I>

/** JSON has no symbols as keys. A brand has one, but only in its type. */
type JsonSymbol<K, I> = K extends typeof Brand.BrandTypeId ? I : never
