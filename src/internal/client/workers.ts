/**
 * The workers of a client, which are shut down together.
 *
 * A Scope runs its finalizers one after the other. If each worker were shut down only by its own, the others would take jobs while
 * the first one waits for its handlers, and a program would need a `shutdownTimeout` for each of its workers.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as Scope from "effect/Scope"
import { ConnectFailed } from "../../BeanstalkError.ts"
import type { TubeName } from "../../Job.ts"
import * as AtOnce from "../base/atOnce.ts"
import { currentFiber } from "../base/fiberState.ts"
import { annotateLogs, safeLog } from "../base/logging.ts"
import { onNextMacrotask } from "../base/macrotask.ts"
import { isClosed } from "../base/scopeState.ts"
import { isEnding, type Origin, originIn, signsOfEnd } from "./workerOrigin.ts"

/** A worker, as its client sees it. */
export interface ClientWorker {
  readonly tube: TubeName
  /** In milliseconds. */
  readonly shutdownTimeout: number
  /** Whether its shutdown has begun. */
  readonly isClosing: boolean
  /** Begins its shutdown, and does not wait. */
  readonly requestShutdown: Effect.Effect<void>
  readonly whenClosed: Effect.Effect<unknown>
  /**
   * Takes no more jobs until an Effect, which runs as long as the worker at most, has succeeded. The deadlines of a shutdown that
   * begins before that count from the beginning of the pause. If this `shutdownTimeout` is longer than its own, interrupted handlers
   * have the time that it leaves.
   */
  pause(until: Effect.Effect<void>, shutdownTimeout: number): Effect.Effect<void>
}

export interface Workers {
  /**
   * Adds a worker, which is shut down when this Scope closes, or its client does. Fails with the reason `Closed` once the client is
   * being closed.
   */
  readonly add: (worker: ClientWorker, scope: Scope.Scope) => Effect.Effect<void, ConnectFailed>
  /** `Worker.make` succeeds with this worker. A client that is closed in the same turn of the event loop dies. */
  readonly markNew: (worker: ClientWorker) => Effect.Effect<void>
  /** Succeeds when the client begins to close. */
  readonly whenClosing: Effect.Effect<void>
}

/** How long a worker is paused after the worker that it was paused for is closed. */
const resumesAfter = "5 seconds"

/** The workers of a client that closes with the Scope. */
export const make = (address: string): Effect.Effect<Workers, never, Scope.Scope> =>
  Effect.gen(function*() {
    const workers = new Map<ClientWorker, Origin>()
    const newWorkers = new Set<ClientWorker>()
    const closing = yield* Deferred.make<void>()
    const client = { fiber: yield* currentFiber, scope: yield* Effect.scope }
    /** Signs after which a worker was not closed. */
    const disproved = new WeakSet<object>()

    /** Pauses a worker that is likely to be closed after this one. If it is not, these signs count no more. */
    const pauseAfter = (closed: ClientWorker, worker: ClientWorker, signs: ReadonlyArray<object>) => {
      const untilDisproved = closed.whenClosed.pipe(
        Effect.zipRight(Effect.sleep(resumesAfter)),
        Effect.zipRight(Effect.sync(() => signs.forEach((sign) => disproved.add(sign))))
      )
      return Effect.zipRight(
        log(Effect.annotateLogs(Effect.logDebug(pausedFor(worker, closed)), { tube: worker.tube })),
        worker.pause(untilDisproved, closed.shutdownTimeout)
      )
    }

    /** Shuts down the workers whose Scope is closed too, and pauses those that are likely to be closed. */
    const endTogether = (closed: ClientWorker, originOfClosed: Origin) =>
      Effect.forEach(workers, ([worker, origin]) =>
        Effect.gen(function*() {
          if (worker.isClosing) return
          if (yield* isClosed(origin.scope)) return yield* worker.requestShutdown
          const signs = yield* signsOfEnd(origin, originOfClosed, client)
          const likely = signs.filter((sign) => !disproved.has(sign))
          if (likely.length > 0) yield* pauseAfter(closed, worker, likely)
        }), { discard: true })

    const onScopeClose = (worker: ClientWorker, origin: Origin) =>
      worker.requestShutdown.pipe(
        Effect.zipRight(endTogether(worker, origin)),
        Effect.zipRight(worker.whenClosed),
        Effect.zipRight(Effect.sync(() => workers.delete(worker)))
      )

    const onClientClose = Effect.gen(function*() {
      yield* Deferred.succeed(closing, undefined)
      const left = yield* Effect.filter(workers, ([worker, origin]) => outlivesClient(worker, origin))
      const error = closedTooEarly(left.map(([{ tube }]) => tube))
      const isSlip = left.some(([worker]) => newWorkers.has(worker))
      if (left.length > 0) yield* log(Effect.logError(error.message))
      yield* AtOnce.forEach(
        workers.keys(),
        ({ requestShutdown, whenClosed }) => Effect.zipRight(requestShutdown, whenClosed)
      )
      // Else the program would go on with a worker that does nothing.
      if (isSlip) yield* Effect.die(error)
    })

    // Effect.addFinalizer of Effect 3.19 hides from its finalizer that the fiber is interrupted.
    yield* Scope.addFinalizer(client.scope, onClientClose)
    return {
      add: (worker, scope) =>
        Effect.gen(function*() {
          if (yield* Deferred.isDone(closing)) return yield* clientClosed(address)
          const origin = yield* originIn(scope)
          workers.set(worker, origin)
          yield* Scope.addFinalizer(scope, onScopeClose(worker, origin))
        }),
      markNew: (worker) =>
        Effect.sync(() => {
          newWorkers.add(worker)
          onNextMacrotask(() => newWorkers.delete(worker))
        }),
      whenClosing: Deferred.await(closing)
    }
  })

/** Whether a worker would run on without its client. When the program that made it ends, it does not matter which closes first. */
const outlivesClient = ({ isClosing }: ClientWorker, { fiber, scope }: Origin): Effect.Effect<boolean> =>
  isClosing || isEnding(fiber) ? Effect.succeed(false) : Effect.negate(isClosed(scope))

const clientClosed = (address: string) =>
  new ConnectFailed({ address, reason: "Closed", detail: "the client is closed" })

const pausedFor = (worker: ClientWorker, closed: ClientWorker) =>
  `The worker of tube ${worker.tube} takes no jobs, since that of tube ${closed.tube} is being closed, ` +
  `and its own Scope seems to follow.`

const closedTooEarly = (tubes: ReadonlyArray<TubeName>) =>
  new Error(
    `The client is closed, and its workers that still ran are shut down (tube ${tubes.join(", ")}). ` +
      `A client must live at least as long as its workers: provide its Layer to the whole program, not to Worker.make alone.`
  )

const log = flow(safeLog, annotateLogs("BeanstalkClient"))
