/** Measures a server and its tubes. */
import * as Effect from "effect/Effect"
import type { Client, ClientError } from "../../BeanstalkClient.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import { leastRoundTrip } from "../server/roundTrip.ts"
import { statsOf, type TubeSample, withNextAges, withoutAges } from "../server/tubeSamples.ts"
import { counted } from "../terminal/text.ts"
import type { Thresholds } from "../values/thresholds.ts"
import { namedOrAmong, type TubePattern } from "../values/tubePattern.ts"
import { type Measure, ofTube, roundTrip, type TubeKind } from "./measures.ts"
import type { Report } from "./report.ts"

/** What is expected of each tube. */
export interface Expected {
  readonly kind: TubeKind
  readonly thresholds: Thresholds
}

/** Nothing, if there are no thresholds. */
export const expected = (kind: TubeKind, thresholds: Thresholds | undefined): ReadonlyArray<Expected> =>
  thresholds === undefined ? [] : [{ kind, thresholds }]

export interface Wanted {
  /** All if there is none. */
  readonly tubes: ReadonlyArray<TubePattern>
  readonly ofTubes: ReadonlyArray<Expected>
  readonly rtt: Thresholds | undefined
  /** Whether drain mode is a problem. */
  readonly draining: boolean
}

export const look = (
  client: Client,
  { draining, ofTubes, rtt, tubes }: Wanted
): Effect.Effect<Report, ClientError | InvalidArgument> =>
  Effect.gen(function*() {
    const ofServer = yield* measureServer(client, rtt)
    const stats = yield* client.stats
    const names = ofTubes.length === 0 ? [] : namesOf(tubes, yield* client.listTubes)
    const samples = yield* sample(client, names, ofTubes)
    const drains = stats.draining === true ? ["it is in drain mode, and refuses new jobs"] : []
    return {
      problems: draining ? drains.map((text) => ({ level: "WARNING", text })) : [],
      measures: [...measureTubes(names, samples, ofTubes), ofServer],
      fine: [
        `beanstalkd ${stats.version} at ${client.address}: ${roundTrip.told(ofServer.value)}`,
        ...drains,
        ...ofTubes.length === 0 ? [] : [tubesText(names, samples)]
      ].join("; ")
    }
  })

const noThresholds: Thresholds = { warning: undefined, critical: undefined }

const measureServer = (client: Client, thresholds = noThresholds) =>
  Effect.map(leastRoundTrip(client), (value): Measure => ({ kind: roundTrip, tube: undefined, value, thresholds }))

const namesOf = (patterns: ReadonlyArray<TubePattern>, existing: ReadonlyArray<string>): ReadonlyArray<string> =>
  patterns.length === 0 ? existing : namedOrAmong(patterns, existing)

type Samples = ReadonlyMap<string, TubeSample>

const sample = (client: Client, names: ReadonlyArray<string>, ofTubes: ReadonlyArray<Expected>) =>
  Effect.gen(function*() {
    const stats = yield* statsOf(client, names)
    const withAge = ofTubes.some(({ kind }) => kind === ofTube.age)
    const samples = withAge ? yield* withNextAges(client, stats) : withoutAges(stats)
    return new Map<string, TubeSample>(samples.map((sample) => [sample.stats.name, sample]))
  })

/** A tube that does not exist has nothing. */
const measureTubes = (names: ReadonlyArray<string>, samples: Samples, ofTubes: ReadonlyArray<Expected>) =>
  names.flatMap((tube) => {
    const sample = samples.get(tube)
    return ofTubes.map(({ kind, thresholds }): Measure => ({
      kind,
      tube,
      value: sample === undefined ? 0 : kind.of(sample),
      thresholds
    }))
  })

const tubesText = (names: ReadonlyArray<string>, samples: Samples): string => {
  const missing = names.filter((name) => !samples.has(name))
  const checked = `${counted(names.length, "tube")} checked`
  if (missing.length === 0) return checked
  return `${checked}, of which ${missing.join(", ")} ${missing.length === 1 ? "does" : "do"} not exist`
}
