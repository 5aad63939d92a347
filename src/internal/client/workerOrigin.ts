/**
 * Where a worker was made, and what that tells of its end.
 *
 * A Scope that is open does not tell whether it is about to be closed.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type AnyFiber, currentFiber, isInterrupted } from "../base/fiberState.ts"
import { isClosed } from "../base/scopeState.ts"

export interface Origin {
  /** The worker is shut down when it closes. */
  readonly scope: Scope.Scope
  readonly fiber: AnyFiber
  /** The Scope of the program around `Worker.run`, which has a Scope of its own. */
  readonly outerScope: Scope.Scope | undefined
  /** The build of a Layer in which the worker was made. */
  readonly build: Layer.MemoMap | undefined
}

/** The origin of a worker that is made here, and shut down with this Scope. */
export const originIn = (scope: Scope.Scope): Effect.Effect<Origin> =>
  Effect.map(Effect.all([currentFiber, Effect.context<never>()]), ([fiber, context]) => ({
    scope,
    fiber,
    outerScope: Option.getOrUndefined(Context.getOption(context, Scope.Scope)),
    build: buildOf(context)
  }))

/** Outside a build the reference has its default, one MemoMap for everything, which links no workers. */
const buildOf = (context: Context.Context<never>): Layer.MemoMap | undefined => {
  const build = Context.get(context, Layer.CurrentMemoMap)
  return build === Context.get(Context.empty(), Layer.CurrentMemoMap) ? undefined : build
}

/** Whether a fiber is interrupted and has not ended. It closes the Scopes that it has opened. */
export const isEnding = (fiber: AnyFiber): boolean => fiber.unsafePoll() === null && isInterrupted(fiber)

/**
 * Why a worker whose Scope is open is likely to be closed after this one: its fiber, or that of the client, is interrupted; the Scope
 * around it, or that of the client, is closed; or the same build of a Layer has made both, and closes them one after the other.
 */
export const signsOfEnd = (
  { build, fiber, outerScope }: Origin,
  closed: Origin,
  client: Pick<Origin, "fiber" | "scope">
): Effect.Effect<ReadonlyArray<object>> =>
  Effect.gen(function*() {
    const scopes = outerScope === undefined ? [client.scope] : [outerScope, client.scope]
    const signs = [...[fiber, client.fiber].filter(isEnding), ...(yield* Effect.filter(scopes, isClosed))]
    if (build === undefined || build !== closed.build) return signs
    // A fiber that runs a worker may end alone, in a Layer that lives on.
    const hasEndedAlone = closed.outerScope !== undefined && !(yield* isClosed(closed.outerScope))
    return hasEndedAlone ? signs : [...signs, build]
  })
