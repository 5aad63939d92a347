/** The model after something has happened, and what is to be done. */
import type { Model, Request } from "../model.ts"

export type Step = readonly [Model, ReadonlyArray<Request>]

export const only = (model: Model): Step => [model, []]
