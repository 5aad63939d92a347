/** Handlers that do whatever handlers do, and write down what may become of their jobs. */
import { type BeanstalkError, Worker } from "effect-beanstalk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { Random } from "../random.ts"
import type { Books, Reservation, Run, Verdict } from "./books.ts"

/** What a worker was told about jobs that fail. */
export interface Policy {
  readonly retries: number
  readonly onDefect: "bury" | "retry"
  readonly onExhausted: "bury" | "delete" | "do" | "fail"
  /** Whether a handler may be interrupted for taking too long. */
  readonly isTimed: boolean
}

/** After 1 s, 2 s, 4 s, … */
export const retryOf = ({ retries }: Policy) =>
  Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(retries)))

type Deed =
  | "Succeed"
  | "Work"
  | "Dawdle"
  | "Hang"
  | "Ignore"
  | "Watch"
  | "Touch"
  | "Ask"
  | "Fail"
  | "Throw"
  | "Bury"
  | "Discard"
  | "RetryAfter"
  | "Interrupt"

const chances: ReadonlyArray<readonly [weight: number, deed: Deed]> = [
  [70, "Succeed"],
  [10, "Work"],
  [0.5, "Dawdle"],
  [0.2, "Hang"],
  [0.3, "Ignore"],
  [0.5, "Watch"],
  [1, "Touch"],
  [1, "Ask"],
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
  readonly books: Books
  readonly policy: Policy
  /** When the worker was given a job. */
  readonly reservationOf: (id: string) => Reservation | undefined
}

/** For times to run of 1 to 6 seconds. */
export const make = ({ books, policy, random, reservationOf }: HandlerOptions) => (key: number, job: Worker.Job) =>
  Effect.suspend(() => {
    const deed = random.weighted(chances)
    const delay = random.between(0, 30) * 100
    const run = books.onRun(key, reservationOf(job.id))
    const done = act(deed, { random, job, delay })
    if (run === undefined) return done
    const ended = Effect.onExit(done, (exit) =>
      Effect.sync(() => {
        books.onVerdict(run, verdict({ policy, run, exit, deed, delay }))
        books.onDoubt(run)
      }))
    return takesTime.has(deed) ? Effect.zipRight(doubting(books, run, job), ended) : ended
  })

const takesTime: ReadonlySet<Deed> = new Set(["Work", "Dawdle", "Hang", "Ignore", "Watch", "Touch", "Ask"])

/** Also a handler that cannot be interrupted is to hear that its job is lost. */
const doubting = (books: Books, run: Run, job: Worker.Job) =>
  Effect.forkScoped(Effect.catchAll(job.leaseLost, () => Effect.sync(() => books.onDoubt(run))))

interface Scene {
  readonly random: Random
  readonly job: Worker.Job
  /** In milliseconds. */
  readonly delay: number
}

const act = (
  deed: Deed,
  { delay, job, random }: Scene
): Effect.Effect<unknown, Refused | Worker.Order | BeanstalkError.LeaseLost | BeanstalkError.ServerError> => {
  switch (deed) {
    case "Succeed":
      return Effect.void
    case "Work":
      return sleep(random.between(1, 10) * 100)
    case "Dawdle":
      return sleep(random.between(10, 200) * 100)
    case "Hang":
      return Effect.never
    case "Ignore":
      return Effect.uninterruptible(sleep(random.between(10, 200) * 100))
    case "Watch":
      return Effect.raceFirst(sleep(random.between(10, 200) * 100), job.leaseLost)
    case "Touch":
      return Effect.andThen(sleep(random.between(0, 10) * 100), job.touch)
    case "Ask":
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
  readonly deed: Deed
  readonly delay: number
}

const verdict = ({ delay, deed, exit, policy, run }: Ended): Verdict => {
  if (Exit.isSuccess(exit)) return { delete: true }
  const { releases, timeouts } = run.entry.job
  const failed = failure(policy, releases + timeouts + 1)
  const defective = policy.onDefect === "bury" ? { bury: true } : failed
  const said: Verdict = deed === "Bury"
    ? { bury: true }
    : deed === "Discard"
    ? { delete: true }
    : deed === "RetryAfter"
    ? { release: Math.max(Math.ceil(delay / 1000), 1) * 1000 }
    : deed === "Throw" || deed === "Interrupt"
    ? defective
    : failed
  return policy.isTimed ? either(said, failed) : said
}

const failure = ({ onExhausted, retries }: Policy, attempt: number): Verdict => {
  if (attempt <= retries) return { release: 1000 * 2 ** (attempt - 1) }
  switch (onExhausted) {
    case "bury":
    case "fail":
      return { bury: true }
    case "delete":
      return { delete: true }
    // Whoever does it says so.
    case "do":
      return {}
  }
}

const either = (one: Verdict, other: Verdict): Verdict => ({
  delete: one.delete === true || other.delete === true,
  bury: one.bury === true || other.bury === true,
  release: one.release === undefined || other.release === undefined
    ? one.release ?? other.release
    : Math.min(one.release, other.release)
})

/** What is done with a job that has failed too often. */
export const onExhausted = ({ books, policy, random }: HandlerOptions) => {
  if (policy.onExhausted === "bury" || policy.onExhausted === "delete") return policy.onExhausted
  const pause = Effect.suspend(() => sleep(random.between(0, 5) * 100))
  return policy.onExhausted === "fail"
    ? () => Effect.zipRight(pause, Effect.fail("it cannot be done"))
    : ({ payload }: { readonly payload: number }) =>
      Effect.zipRight(pause, Effect.sync(() => books.onExhausted(payload)))
}
