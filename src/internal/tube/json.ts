/** Finds what JSON would change. */

/** What is known of a value before it is looked at. */
export interface Expectation {
  /** Whether a missing property is not the same as one that is `undefined`. */
  readonly isExact: boolean
  /**
   * Whether arrays and objects may have symbols as keys or a method `toJSON`, and arrays other keys than indices. To look for them
   * takes time.
   */
  readonly mayHaveOtherKeys: boolean
}

/** A part of a value that JSON does not have. */
export interface Changed {
  /** The keys that lead to it, the last one first. */
  readonly reversedPath: Array<string | number>
  /** What JSON has in its place. */
  readonly expected: string
}

/**
 * Finds a part of a value that `JSON.parse` would not return as `JSON.stringify` got it. Throws if the value is nested more
 * deeply than the stack allows, as a value that contains itself is.
 *
 * -0, which becomes 0, counts as unchanged; so does a property that is `undefined`, which is left out, unless the expectation is
 * exact.
 */
export const findChanged = (value: unknown, expectation: Expectation): Changed | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : changed("a finite number")
    case "object":
      if (value === null) return undefined
      return Array.isArray(value) ? inArray(value, expectation) : inObject(value, expectation)
    default:
      return changed("JSON")
  }
}

/** A hole reads as `undefined`, and JSON has `null` for both. */
const inArray = (array: ReadonlyArray<unknown>, expectation: Expectation): Changed | undefined => {
  for (let index = 0; index < array.length; index += 1) {
    const found = findChanged(array[index], expectation)
    if (found !== undefined) return inside(index, found)
  }
  return expectation.mayHaveOtherKeys && !isPlainArray(array) ? changed("JSON") : undefined
}

const inObject = (object: object, expectation: Expectation): Changed | undefined => {
  if (!isPlainObject(object)) return changed("JSON")
  for (const key of Object.keys(object)) {
    const value = object[key]
    if (value === undefined && !expectation.isExact) continue
    const found = findChanged(value, expectation)
    if (found !== undefined) return inside(key, found)
  }
  return expectation.mayHaveOtherKeys && hasOtherKeys(object) ? changed("JSON") : undefined
}

const changed = (expected: string): Changed => ({ reversedPath: [], expected })

const inside = (key: string | number, found: Changed): Changed => {
  found.reversedPath.push(key)
  return found
}

/** No instance of a class. */
const isPlainObject = (object: object): object is Readonly<Record<string, unknown>> => {
  const prototype: object | null = Object.getPrototypeOf(object)
  return prototype === Object.prototype || prototype === null || isRoot(prototype)
}

/** Whether it is an `Object.prototype`, which each realm has one of. */
const isRoot = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf")

/** No instance of a subclass, and no keys but indices. `Array.prototype` is an array, the prototype of a subclass is not. */
const isPlainArray = (array: ReadonlyArray<unknown>): boolean =>
  Array.isArray(Object.getPrototypeOf(array)) && Object.keys(array).length === array.length && !hasOtherKeys(array)

/** Symbols, and a method that `JSON.stringify` calls, which need not be enumerable. */
const hasOtherKeys = (object: object): boolean =>
  ("toJSON" in object && typeof object.toJSON === "function") || Object.getOwnPropertySymbols(object).length > 0
