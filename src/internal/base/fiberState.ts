import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"

export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

export const currentFiber: Effect.Effect<AnyFiber> = Effect.withFiberRuntime((fiber) => Effect.succeed(fiber))

/** Whether a fiber is interrupted, or was before it ended. */
export const isInterrupted = (fiber: AnyFiber): boolean => !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))
