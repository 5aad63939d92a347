/** Handlers with random behaviour, which report to the tracker what the worker may do with their jobs. */
import { type BeanstalkError, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { Random } from "../random.ts"
import type { AllowedSettlements, JobTracker, Reservation, Run } from "./jobTracker.ts"

/** The options of a worker for jobs that fail. */
export interface Policy {
  readonly retries: number
  readonly onDefect: "bury" | "retry"
  readonly onExhausted: "bury" | "delete" | "succeed" | "fail"
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
  readonly policy: Policy
  /** The reservation of a job by the worker. */
  readonly reservationOf: (id: string) => Reservation | undefined
}

/** Its handlers take up to 20 seconds: the time to run of a job is 1 to 6 seconds. */
export const make = ({ policy, random, reservationOf, tracker }: HandlerOptions) => (key: number, job: Worker.Job) =>
  Effect.suspend(() => {
    const behaviour = random.weighted(chances)
    const delay = random.between(0, 30) * 100
    const run = tracker.onRun(key, reservationOf(job.id))
    const handled = perform(behaviour, { random, job, delay })
    if (run === undefined) return handled
    const ended = Effect.onExit(handled, (exit) =>
      Effect.sync(() => {
        tracker.allow(run, allowedSettlements({ policy, run, exit, behaviour, delay }))
        tracker.onRunEnd(run)
      }))
    return takesTime.has(behaviour) ? Effect.zipRight(awaitingLoss(tracker, run, job), ended) : ended
  })

const takesTime: ReadonlySet<Behaviour> = new Set([
  "Work",
  "WorkLong",
  "Never",
  "Uninterruptible",
  "AwaitLoss",
  "Touch",
  "Stats"
])

/** `leaseLost` fails for a handler that cannot be interrupted too. */
const awaitingLoss = (tracker: JobTracker, run: Run, job: Worker.Job) =>
  Effect.forkScoped(Effect.catchAll(job.leaseLost, () => Effect.sync(() => tracker.onRunEnd(run))))

interface PerformOptions {
  readonly random: Random
  readonly job: Worker.Job
  /** In milliseconds. */
  readonly delay: number
}

const perform = (
  behaviour: Behaviour,
  { delay, job, random }: PerformOptions
): Effect.Effect<unknown, Refused | Worker.Order | BeanstalkError.LeaseLost | BeanstalkError.ServerError> => {
  switch (behaviour) {
    case "Succeed":
      return Effect.void
    case "Work":
      return sleep(random.between(1, 10) * 100)
    case "WorkLong":
      return sleep(random.between(10, 200) * 100)
    case "Never":
      return Effect.never
    case "Uninterruptible":
      return Effect.uninterruptible(sleep(random.between(10, 200) * 100))
    case "AwaitLoss":
      return Effect.raceFirst(sleep(random.between(10, 200) * 100), job.leaseLost)
    case "Touch":
      return Effect.andThen(sleep(random.between(0, 10) * 100), job.touch)
    case "Stats":
      return Effect.andThen(sleep(random.between(0, 10) * 100), job.stats)
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
