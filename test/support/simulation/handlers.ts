/** Handlers with random behaviour, which report to the tracker what the worker may do with their jobs. */
import { type BeanstalkError, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { Random } from "../random.ts"
import { stallTime } from "./faults.ts"
import type { AllowedSettlements, JobTracker, Reservation, Run } from "./jobTracker.ts"
import type { Process } from "./process.ts"

/** The options of a worker for jobs that fail. */
export interface Policy {
  readonly retries: number
  readonly onDefect: "bury" | "retry"
  readonly onExhausted: "bury" | "delete" | "succeed" | "fail"
  /** Whether handlers are interrupted when their lease is lost. */
  readonly interruptsLost: boolean
  /** Whether handlers are interrupted after a time. */
  readonly isTimed: boolean
}

/** After 1 s, 2 s, 4 s, … */
export const retryOf = ({ retries }: Policy) =>
  Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(retries)))

type Behaviour =
  | "Succeed"
  | "Work"
  | "WorkLong"
  | "Block"
  | "Never"
  | "Uninterruptible"
  | "AwaitLoss"
  | "Touch"
  | "Stats"
  | "Fail"
  | "Throw"
  | "Bury"
  | "Discard"
  | "RetryAfter"
  | "Interrupt"

const chances: ReadonlyArray<readonly [weight: number, behaviour: Behaviour]> = [
  [70, "Succeed"],
  [10, "Work"],
  [0.5, "WorkLong"],
  [0.05, "Block"],
  [0.2, "Never"],
  [0.3, "Uninterruptible"],
  [0.5, "AwaitLoss"],
  [1, "Touch"],
  [1, "Stats"],
  [8, "Fail"],
  [1, "Throw"],
  [1, "Bury"],
  [1, "Discard"],
  [1.5, "RetryAfter"],
  [0.5, "Interrupt"]
]

class Refused extends Error {
  readonly _tag = "Refused"
}

export const sleep = (milliseconds: number) => Clock.sleep(Duration.millis(milliseconds))

export interface HandlerOptions {
  readonly random: Random
  readonly tracker: JobTracker
  /** The process of the worker. */
  readonly process: Process
  readonly policy: Policy
  /** The reservation of a job by the worker. */
  readonly reservationOf: (id: string) => Reservation | undefined
}

/** Its handlers take up to 20 seconds: the time to run of a job is 1 to 6 seconds. */
export const make =
  ({ policy, process, random, reservationOf, tracker }: HandlerOptions) => (key: number, job: Worker.Job) =>
    Effect.suspend(() => {
      const behaviour = random.weighted(chances)
      const delay = random.between(0, 30) * 100
      const run = tracker.onRun(key, reservationOf(job.id), {
        runningTime: () => process.runningTime,
        isInterruptible: policy.interruptsLost && behaviour !== "Uninterruptible"
      })
      const point = Effect.sync(() => run && tracker.onPoint(run))
      const handled = perform(behaviour, { random, process, job, delay, point })
      if (run === undefined) return handled
      const observed = takesTime.has(behaviour) ? Effect.zipRight(awaitingLoss(tracker, run, job), handled) : handled
      return Effect.onExit(observed, (exit) =>
        Effect.sync(() => {
          tracker.allow(run, allowedSettlements({ policy, run, exit, behaviour, delay }))
          tracker.onRunEnd(run)
        }))
    })

const takesTime: ReadonlySet<Behaviour> = new Set([
  "Work",
  "WorkLong",
  "Block",
  "Never",
  "Uninterruptible",
  "AwaitLoss",
  "Touch",
  "Stats"
])

/** `leaseLost` fails for a handler that cannot be interrupted too. */
const awaitingLoss = (tracker: JobTracker, run: Run, job: Worker.Job) =>
  Effect.zipRight(
    Effect.forkScoped(Effect.catchAll(job.leaseLost, () => Effect.sync(() => tracker.onLossKnown(run)))),
    // It must have begun to wait before the handler goes on.
    Effect.yieldNow()
  )

interface PerformOptions {
  readonly random: Random
  readonly process: Process
  readonly job: Worker.Job
  /** In milliseconds. */
  readonly delay: number
  /** Reports that the handler goes on after it has waited. */
  readonly point: Effect.Effect<void>
}

const perform = (
  behaviour: Behaviour,
  { delay, job, point, process, random }: PerformOptions
): Effect.Effect<void, Refused | Worker.Order | BeanstalkError.LeaseLost | BeanstalkError.ServerError> => {
  const steps = (mostTenths: number) =>
    Effect.forEach(
      Array.from({ length: random.between(1, 4) }, () => random.between(1, mostTenths) * 100),
      (step) => Effect.zipRight(sleep(step), point),
      { discard: true }
    )
  switch (behaviour) {
    case "Succeed":
      return Effect.void
    case "Work":
      return steps(5)
    case "WorkLong":
      return steps(100)
    case "Block":
      return Effect.zipRight(
        Effect.sync(() => process.block(stallTime(random))),
        Effect.zipRight(Effect.zipRight(Effect.yieldNow(), point), steps(5))
      )
    case "Never":
      return Effect.never
    case "Uninterruptible":
      return Effect.uninterruptible(steps(100))
    case "AwaitLoss":
      return Effect.zipRight(Effect.raceFirst(sleep(random.between(10, 200) * 100), job.leaseLost), point)
    case "Touch":
      return Effect.zipRight(steps(5), Effect.zipRight(job.touch, point))
    case "Stats":
      return Effect.zipRight(steps(5), Effect.zipRight(job.stats, point))
    case "Fail":
      return Effect.fail(new Refused())
    case "Throw":
      return Effect.dieMessage("thrown")
    case "Bury":
      return new Worker.Bury({})
    case "Discard":
      return new Worker.Discard({})
    case "RetryAfter":
      return new Worker.RetryAfter({ delay: Duration.millis(delay) })
    case "Interrupt":
      return Effect.interrupt
  }
}

interface Ended {
  readonly policy: Policy
  readonly run: Run
  readonly exit: Exit.Exit<unknown, unknown>
  readonly behaviour: Behaviour
  readonly delay: number
}

const allowedSettlements = ({ behaviour, delay, exit, policy, run }: Ended): AllowedSettlements => {
  if (Exit.isSuccess(exit)) return { delete: true }
  const { releases, timeouts } = run.entry.job
  const failed = afterFailure(policy, releases + timeouts + 1)
  const afterDefect = policy.onDefect === "bury" ? { bury: true } : failed
  const ended: AllowedSettlements = behaviour === "Bury"
    ? { bury: true }
    : behaviour === "Discard"
    ? { delete: true }
    : behaviour === "RetryAfter"
    ? { release: Math.max(Math.ceil(delay / 1000), 1) * 1000 }
    : behaviour === "Throw" || behaviour === "Interrupt"
    ? afterDefect
    : failed
  return policy.isTimed ? either(ended, failed) : ended
}

const afterFailure = ({ onExhausted, retries }: Policy, attempt: number): AllowedSettlements => {
  if (attempt <= retries) return { release: 1000 * 2 ** (attempt - 1) }
  switch (onExhausted) {
    case "bury":
    case "fail":
      return { bury: true }
    case "delete":
      return { delete: true }
    // The `onExhausted` Effect reports to the tracker itself.
    case "succeed":
      return {}
  }
}

const either = (one: AllowedSettlements, other: AllowedSettlements): AllowedSettlements => ({
  delete: one.delete === true || other.delete === true,
  bury: one.bury === true || other.bury === true,
  release: one.release === undefined || other.release === undefined
    ? one.release ?? other.release
    : Math.min(one.release, other.release)
})

/** The `onExhausted` option of a worker. */
export const onExhausted = ({ policy, random, tracker }: HandlerOptions) => {
  if (policy.onExhausted === "bury" || policy.onExhausted === "delete") return policy.onExhausted
  const pause = Effect.suspend(() => sleep(random.between(0, 5) * 100))
  return policy.onExhausted === "fail"
    ? () => Effect.zipRight(pause, Effect.fail("refused"))
    : ({ payload }: { readonly payload: number }) =>
      Effect.zipRight(pause, Effect.sync(() => tracker.onExhausted(payload)))
}
