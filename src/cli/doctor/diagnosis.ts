/** What is wrong with a server, by its statistics and those of its tubes. */
import type { ServerStats } from "../../Stats.ts"
import { watchers } from "../server/tubes.ts"
import type { TubeSample } from "../server/tubeSamples.ts"
import { counted, thousands, timeSpan } from "../terminal/text.ts"
import { asArguments, type Finding, ok, some } from "./finding.ts"

/** What was seen of a server. */
export interface Seen {
  readonly stats: ServerStats
  readonly tubes: ReadonlyArray<TubeSample>
  /** The least time of a round trip, in seconds. */
  readonly roundTrip: number
  /** Public addresses at which it was reached. */
  readonly publicAddresses: ReadonlyArray<string>
}

/** All that was looked at. */
export const diagnose = (seen: Seen): ReadonlyArray<Finding> => [
  draining(seen),
  reachable(seen),
  unwatched(seen),
  buried(seen),
  timeouts(seen),
  paused(seen),
  version(seen),
  roundTrip(seen),
  binlog(seen)
]

const draining = ({ stats }: Seen): Finding =>
  stats.draining === true
    ? {
      name: "draining",
      severity: "critical",
      text: "The server is in drain mode: it refuses new jobs.",
      advice: "Restart it when its jobs are done. Nothing else ends drain mode."
    }
    : ok("draining", "It accepts jobs.")

const reachable = ({ publicAddresses }: Seen): Finding =>
  publicAddresses.length > 0
    ? {
      name: "public-address",
      severity: "critical",
      text:
        `It is reached at the public address ${
          some(publicAddresses)
        }, and has no login: any program that connects can ` +
        "read and delete every job.",
      advice:
        "Let it listen on loopback or in a private network (beanstalkd -l ADDRESS), or close the port in the firewall."
    }
    : ok("public-address", "It is not reached at any public address that is known here.")

interface Amount {
  readonly tube: string
  readonly jobs: number
}

/** How many jobs of each tube, without those that have none, the most first. */
const amounts = (tubes: ReadonlyArray<TubeSample>, of: (tube: TubeSample) => number): ReadonlyArray<Amount> =>
  tubes
    .map((tube) => ({ tube: tube.stats.name, jobs: of(tube) }))
    .filter(({ jobs }) => jobs > 0)
    .toSorted((one, other) => other.jobs - one.jobs)

const total = (tubes: ReadonlyArray<Amount>) => tubes.reduce((sum, { jobs }) => sum + jobs, 0)

const inTubes = (tubes: ReadonlyArray<Amount>) => some(tubes.map(({ jobs, tube }) => `${thousands(jobs)} in ${tube}`))

const unwatched = ({ stats, tubes }: Seen): Finding => {
  // No connection has sent a reserve: what watches a tube is a producer.
  const isIdle = stats.currentWorkers === 0
  const alone = tubes.filter(({ stats }) => stats.currentJobsReady > 0 && (isIdle || watchers(stats) <= 0))
  const ready = amounts(alone, ({ stats }) => stats.currentJobsReady)
  if (ready.length === 0) return ok("unwatched", "Each tube with ready jobs is watched.")
  const longest = alone.reduce((longest, { nextAge = 0 }) => Math.max(longest, nextAge), 0)
  return {
    name: "unwatched",
    severity: "critical",
    text:
      `${counted(total(ready), "ready job")} in tubes that no worker watches: ${
        inTubes(ready)
      }. The next has waited for ` +
      `${timeSpan(longest)}.`,
    advice: "Start the program that works on them, or run a command for each job: " +
      `beanstalk work ${asArguments(ready.map(({ tube }) => tube))} -- COMMAND`,
    tubes: ready
  }
}

const buried = ({ tubes }: Seen): Finding => {
  const found = amounts(tubes, ({ stats }) => stats.currentJobsBuried)
  return found.length === 0 ? ok("buried", "No job is buried.") : {
    name: "buried",
    severity: "warning",
    text: `${counted(total(found), "buried job")}, which nobody runs again: ${inTubes(found)}.`,
    advice: "Look at them (beanstalk jobs --state buried), fix the cause, then kick them: " +
      `beanstalk kick ${asArguments(found.map(({ tube }) => tube))}`,
    tubes: found
  }
}

/** Of puts. */
const manyTimeouts = 0.01

const timeouts = ({ stats: { jobTimeouts, totalJobs } }: Seen): Finding => {
  const share = totalJobs > 0 ? jobTimeouts / totalJobs : 0
  const text = `${counted(jobTimeouts, "reservation")} timed out, ${(share * 100).toFixed(1)} % of ` +
    `${counted(totalJobs, "put")}.`
  return share <= manyTimeouts ? ok("timeouts", text) : {
    name: "timeouts",
    severity: "warning",
    text,
    advice: "Such jobs are run again while they run. Give them a longer time to run (ttr), or let workers touch them."
  }
}

const paused = ({ tubes }: Seen): Finding => {
  const found = tubes.filter(({ stats }) => stats.pause > 0)
  return found.length === 0 ? ok("paused", "No tube is paused.") : {
    name: "paused",
    severity: "warning",
    text: `${counted(found.length, "tube")} paused: ` +
      `${some(found.map(({ stats }) => `${stats.name} for ${timeSpan(stats.pauseTimeLeft)} more`))}.`,
    advice: `If that is not wanted: beanstalk resume ${asArguments(found.map(({ stats }) => stats.name))}`,
    tubes: found.map(({ stats }) => ({ tube: stats.name, jobs: stats.currentJobsReady }))
  }
}

const version = ({ stats: { version } }: Seen): Finding => {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? []
  const isOld = major !== undefined && (Number(major) < 1 || (major === "1" && Number(minor) < 12))
  return !isOld ? ok("version", `It is version ${version}.`) : {
    name: "version",
    severity: "warning",
    text: `Version ${version} has no reserve-job: jobs cannot be buried, and buried ones not moved.`,
    advice: "Install beanstalkd 1.12 or later."
  }
}

/** In seconds. */
const slowRoundTrip = 0.005

const roundTrip = ({ roundTrip }: Seen): Finding => {
  const text = `A round trip takes ${(roundTrip * 1000).toFixed(1)} ms.`
  return roundTrip <= slowRoundTrip ? ok("round-trip", text) : {
    name: "round-trip",
    severity: "warning",
    text,
    advice:
      "That is how long each command of a program takes that sends one after another. Run programs near to the server, or " +
      "let them send many at a time."
  }
}

const binlog = ({ stats }: Seen): Finding =>
  stats.binlogCurrentIndex > 0 ? ok("binlog", "It has a binlog.") : {
    name: "binlog",
    severity: "warning",
    text: "There is no binlog: when the server ends, all jobs are lost.",
    advice: "Start it with beanstalkd -b FOLDER, unless the jobs may be lost."
  }
