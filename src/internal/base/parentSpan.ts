/** The span that is current where an Effect runs. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** The span of the fiber that has called this code, if there are both. */
export const ofCallingFiber = (): Tracer.AnySpan | undefined =>
  Option.getOrUndefined(Fiber.getCurrentFiber())?.currentSpan

/** `Context.omit` cannot express that what is left has all of `R`, which never includes the span. */
export const omitFrom = <R>(context: Context.Context<R>): Context.Context<R> => {
  const services = new Map(context.unsafeMap)
  services.delete(Tracer.ParentSpan.key)
  return Context.unsafeMake(services)
}

/** Runs an Effect in this span, or in none. */
export const provide =
  (span: Tracer.AnySpan | undefined) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    span === undefined
      ? Effect.mapInputContext(self, (context: Context.Context<R>) => omitFrom(context))
      : Effect.provideService(self, Tracer.ParentSpan, span)
