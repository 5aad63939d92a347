/**
 * The jobs of a tube as a Stream, for programs with a loop of their own. It has a connection at each server of the client, and the
 * program one job at a time.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import type { BeanstalkClient } from "../../BeanstalkClient.ts"
import type { WorkerStartError } from "../../BeanstalkError.ts"
import type { Tube } from "../../Tube.ts"
import * as AtOnce from "../base/atOnce.ts"
import { type AnyFiber, isInterrupted } from "../base/fiberState.ts"
import * as TimerQueue from "../base/timerQueue.ts"
import type { Dedicated } from "../client/dedicated.ts"
import { crashLoop, historyOf } from "./decision.ts"
import { dedicatedOfClient } from "./dedicatedOfClient.ts"
import * as EventLog from "./eventLog.ts"
import { Undecodable } from "./failure.ts"
import type { Lease } from "./lease.ts"
import { checkOptions, type Options } from "./options.ts"
import { type Puller, ServerJobs, type StreamContext } from "./serverJobs.ts"
import { Reservation } from "./streamReservation.ts"

/** See `Worker.JobsOptions`. */
export interface JobsOptions
  extends Pick<Options<never, never>, "heartbeat" | "maxDisconnects" | "onUndecodable" | "reserveSlice">
{}

export const jobs = <A, R>(
  tube: Tube<A, R>,
  options: JobsOptions = {}
): Stream.Stream<Reservation<A>, WorkerStartError, BeanstalkClient | R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const settings = yield* checkOptions<A, R, never>(tube, options)
    const dedicated = yield* dedicatedOfClient(tube.name)
    const annotated = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.annotateLogs(EventLog.annotated(Effect.interruptible(effect)), { tube: tube.name })
    const timers = yield* TimerQueue.make
    const runtime = yield* annotated(Effect.runtime<R>())
    const connections = yield* FiberSet.make<void, never>()
    const scope = yield* Effect.scope
    const source = new JobSource<A, R>({
      tube: tube.name,
      settings,
      timers,
      log: EventLog.make(runtime, { tube: tube.name, concurrency: 1, runs: undefined, now: timers.now }),
      fork: (effect) => void Runtime.runFork(runtime)(effect, { scope }),
      connect: yield* annotated(FiberSet.runtime(connections)())
    })
    yield* Effect.forkScoped(Effect.interruptible(Effect.zipRight(dedicated.workers.whenClosing, source.end)))
    yield* Effect.addFinalizer(() => source.close)
    source.follow(dedicated.servers)
    return Stream.repeatEffectOption(source.next)
  }))

interface SourceOptions<A, R> extends StreamContext<A, R> {
  /** Runs what keeps the connection to a server open. */
  readonly connect: (run: Effect.Effect<void>) => AnyFiber
}

class JobSource<A, R> implements Puller<A, R> {
  private readonly options: SourceOptions<A, R>
  private readonly servers = new Map<Dedicated, ServerJobs<A, R>>()
  /** The servers that are none of the client's any more, until the jobs that they hold are settled. */
  private readonly left = new Set<ServerJobs<A, R>>()
  /** Ends when the Stream is closed. */
  private stopFollowing = constVoid
  /** No more jobs are reserved. */
  private hasEnded = false
  /** The server of the job that was pulled last. */
  private current: ServerJobs<A, R> | undefined = undefined
  /** The jobs that came while there was no pull, each with its server, in the order in which they came. */
  private readonly queue = new Map<Lease, ServerJobs<A, R>>()
  /** The fiber that pulled last. */
  private puller: AnyFiber | undefined = undefined
  /** Ends the pull that waits for a job. */
  private resume: ((job: NextJob<A, R>) => void) | undefined = undefined

  constructor(options: SourceOptions<A, R>) {
    this.options = options
  }

  // -------------------------------------------------------------------------------------------------------------------
  // its servers
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes jobs from these servers, as they come and go. */
  follow(servers: Dedicated["servers"]): void {
    this.stopFollowing = servers((list) => this.onServers(list))
  }

  private onServers(list: ReadonlyArray<Dedicated>): void {
    if (this.hasEnded) return
    for (const [dedicated, server] of this.servers) {
      if (list.includes(dedicated)) continue
      this.servers.delete(dedicated)
      this.left.add(server)
      this.endServer(server)
    }
    for (const dedicated of list) if (!this.servers.has(dedicated)) this.join(dedicated)
  }

  private join(dedicated: Dedicated): void {
    const server = new ServerJobs(this, dedicated, this.options)
    this.servers.set(dedicated, server)
    this.options.connect(server.run).addObserver(() => this.left.delete(server))
  }

  private get all(): ReadonlyArray<ServerJobs<A, R>> {
    return [...this.servers.values(), ...this.left]
  }

  /** A job that was pulled may still be settled. One that was not is given back. */
  private endServer(server: ServerJobs<A, R>): void {
    if (server !== this.current) server.giveBack()
    server.end()
  }

  /** Ends the Stream. */
  readonly end: Effect.Effect<void> = Effect.sync(() => {
    this.hasEnded = true
    for (const server of this.all) this.endServer(server)
    this.resume?.(noMoreJobs)
  })

  /** Gives back all jobs. The deletes of completed jobs are waited for. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.hasEnded = true
    this.stopFollowing()
    this.observe(undefined)
    return Effect.asVoid(AtOnce.forEach(this.all, ({ close }) => close))
  })

  // -------------------------------------------------------------------------------------------------------------------
  // a pull
  // -------------------------------------------------------------------------------------------------------------------

  /** The next job, once the one before is settled. */
  readonly next: NextJob<A, R> = Effect.withFiberRuntime((fiber) => {
    const held = this.current?.held
    if (held !== undefined) return Effect.zipRight(Effect.ignore(held.whenLost), this.next)
    if (this.hasEnded) return noMoreJobs
    this.current = undefined
    this.observe(fiber)
    return this.pull
  })

  /** Waits for a job of any server. Those that have none to deliver yet are asked in any case. */
  private readonly pull: NextJob<A, R> = Effect.async((resume) => {
    this.resume = resume
    for (const server of this.servers.values()) server.reserve()
    for (const [lease, server] of this.queue) {
      this.queue.delete(lease)
      return this.deliver(server, lease)
    }
  })

  get isPulling(): boolean {
    return this.resume !== undefined
  }

  onReserved(server: ServerJobs<A, R>, lease: Lease): void {
    if (this.isPulling) return this.deliver(server, lease)
    lease.startWait()
    this.queue.set(lease, server)
  }

  onLost(lease: Lease): void {
    this.queue.delete(lease)
  }

  private deliver(server: ServerJobs<A, R>, lease: Lease): void {
    const { resume } = this
    this.resume = undefined
    this.current = server
    resume?.(this.jobOf(server, lease))
  }

  /** Observes the fiber that pulls. `Effect.onInterrupt` around each pull takes 10 µs for each job more, of some 45. */
  private observe(fiber: AnyFiber | undefined): void {
    if (fiber === this.puller) return
    this.puller?.removeObserver(this.onPullerEnd)
    fiber?.addObserver(this.onPullerEnd)
    this.puller = fiber
  }

  /**
   * The Stream may be pulled again after a pull that was interrupted, for which nothing stays reserved. The interruption may
   * have come after the job: its fiber was interrupted before it could do anything with it, or while it did.
   */
  private readonly onPullerEnd = (): void => {
    const { puller } = this
    if (puller === undefined || !isInterrupted(puller)) return
    this.resume = undefined
    for (const server of this.all) server.giveBack()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the job that it is to have
  // -------------------------------------------------------------------------------------------------------------------

  /** This job, or the next one if this does not appear in the Stream. */
  private jobOf(server: ServerJobs<A, R>, lease: Lease): NextJob<A, R> {
    const { maxDisconnects } = this.options.settings
    if (maxDisconnects === undefined) return this.decode(server, lease)
    const { settler } = server
    return Effect.matchEffect(settler.statsOf(lease), {
      onFailure: ({ message }) => Effect.zipRight(settler.giveBack(lease, message), this.next),
      onSuccess: (stats) =>
        historyOf(stats).disconnects < maxDisconnects
          ? this.decode(server, lease)
          : Effect.zipRight(settler.settle(lease, crashLoop(lease, stats)), this.next)
    })
  }

  /** A Schema may take its time, in which the job is touched, or may be lost. */
  private decode({ settler }: ServerJobs<A, R>, lease: Lease): NextJob<A, R> {
    lease.startRun()
    return Effect.matchCauseEffect(this.options.settings.policy.decode(lease.job), {
      onSuccess: (payload) => isOver(lease) ? this.next : Effect.succeed(new Reservation(payload, lease, settler)),
      onFailure: (cause) =>
        isOver(lease)
          ? this.next
          : Effect.zipRight(
            settler.settleFailure(lease, Cause.map(cause, (error) => new Undecodable(error))),
            this.next
          )
    })
  }
}

/** Fails with `None` once the Stream has ended. */
type NextJob<A, R> = Effect.Effect<Reservation<A>, Option.Option<never>, R>

const noMoreJobs = Effect.fail(Option.none())

/** Whether the lease is lost, or the job is being released because its time to run was over. */
const isOver = (lease: Lease): boolean => lease.lost !== undefined || lease.hasTimedOut
