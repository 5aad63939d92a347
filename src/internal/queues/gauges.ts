/** The metrics of a server's tubes, as they are set from its statistics. */
import { globalValue } from "effect/GlobalValue"
import * as MetricKey from "effect/MetricKey"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import type { TubeName } from "../../Job.ts"
import type { TubeStats } from "../../Stats.ts"
import { counter, counterKey, gauge, gaugeKey, type Labels, labelsOf, memoized, noTags } from "../base/metrics.ts"
import { ofServer } from "../base/semanticConventions.ts"

/** What is known of a tube. */
export interface Observation {
  readonly stats: Omit<TubeStats, "name" | "unknown">
  /** For how many seconds its next job has been ready; 0 if none is, `undefined` if that is not measured. */
  readonly nextJobAge: number | undefined
}

export interface QueueGauges {
  readonly setServer: (state: { readonly isUp: boolean; readonly isDraining: boolean }) => void
  readonly setTube: (name: TubeName, observation: Observation) => void
  /** Sets a tube that does not exist any more to zero: Effect's registry of metrics forgets none. */
  readonly clearTube: (name: TubeName) => void
}

/** The metrics of the server at this address. */
export const make = (address: string, extraLabels: Labels): QueueGauges => {
  const server = labelsOf(ofServer(address))
  const setterOf = (labels: Labels) => (key: MetricKey.MetricKey.Gauge<number>, own: Record<string, string> = {}) => {
    const metric = gauge(key, [...labels, ...labelsOf(own), ...extraLabels])
    return (value: number) => metric.unsafeUpdate(value, noTags)
  }
  const setterOfServer = setterOf(server)
  const [setUp, setDraining] = [setterOfServer(up), setterOfServer(draining)]

  const tube = memoized((name: TubeName) => {
    const labels = [...server, ...labelsOf({ "messaging.destination.name": name })]
    const setter = setterOf(labels)
    const inState = (state: string) => setter(jobs, { "beanstalk.job.state": state })
    const total = (key: MetricKey.MetricKey.Counter<number>) => totalSetter(key, [...labels, ...extraLabels])
    const setters: ReadonlyArray<readonly [set: (value: number) => void, of: keyof Observation["stats"]]> = [
      [inState("ready"), "currentJobsReady"],
      [inState("reserved"), "currentJobsReserved"],
      [inState("delayed"), "currentJobsDelayed"],
      [inState("buried"), "currentJobsBuried"],
      [setter(waiting), "currentWaiting"],
      [setter(workers), "currentWatching"],
      [setter(paused), "pauseTimeLeft"],
      [total(puts), "totalJobs"],
      [total(deletes), "cmdDelete"]
    ]
    const setAge = setter(age)
    return { setters, setAge }
  })

  return {
    setServer: ({ isDraining, isUp }) => {
      setUp(isUp ? 1 : 0)
      setDraining(isDraining ? 1 : 0)
    },
    setTube: (name, { nextJobAge, stats }) => {
      const { setAge, setters } = tube(name)
      for (const [set, of] of setters) set(stats[of])
      if (nextJobAge !== undefined) setAge(nextJobAge)
    },
    clearTube: (name) => {
      const { setAge, setters } = tube(name)
      for (const [set] of setters) set(0)
      setAge(0)
    }
  }
}

/**
 * The totals of the server that were added to the counters last. Counters stay in the registry of the process when the polling ends:
 * if it starts again, a total that is added already is not to be added once more.
 */
const lastTotals = globalValue(
  "effect-beanstalk/internal/queues/lastTotals",
  () => MutableHashMap.empty<MetricKey.MetricKey.Counter<number>, number>()
)

/** Adds what a total of the server has grown by. It begins anew with each tube that the server makes. */
const totalSetter = (key: MetricKey.MetricKey.Counter<number>, labels: Labels) => {
  const series = MetricKey.taggedWithLabels(key, labels)
  const metric = counter(key, labels)
  return (total: number) => {
    const last = Option.getOrElse(MutableHashMap.get(lastTotals, series), () => 0)
    metric.unsafeUpdate(total < last ? total : total - last, noTags)
    MutableHashMap.set(lastTotals, series, total)
  }
}

const up = gaugeKey("beanstalk.server.up", "1", "Whether the server has answered the last time that it was asked")

const draining = gaugeKey("beanstalk.server.draining", "1", "Whether the server refuses new jobs")

const jobs = gaugeKey("beanstalk.tube.jobs", "{message}", "Jobs of a tube, by their state")

const waiting = gaugeKey("beanstalk.tube.waiting", "{connection}", "Connections that wait for a job of the tube")

const workers = gaugeKey("beanstalk.tube.workers", "{connection}", "Connections that watch the tube")

const paused = gaugeKey("beanstalk.tube.paused", "s", "For how many seconds the tube is paused still")

const age = gaugeKey("beanstalk.tube.next_job.age", "s", "For how many seconds the next job of the tube has been ready")

const puts = counterKey("beanstalk.tube.puts", "{message}", "Jobs that were put into the tube")

const deletes = counterKey("beanstalk.tube.deletes", "{message}", "Jobs of the tube that were deleted")
