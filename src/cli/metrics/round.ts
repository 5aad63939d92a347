/** One look at a server, for its metrics. */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type { Client, ClientError } from "../../BeanstalkClient.ts"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import { statsOf, withNextAges } from "../server/tubeSamples.ts"
import { matchesAny, type TubePattern } from "../values/tubePattern.ts"
import { type Family, single } from "./family.ts"
import * as GoneTubes from "./goneTubes.ts"
import { labelOf, type Rule } from "./relabel.ts"
import { serverFamilies } from "./serverFamilies.ts"
import { type Labelled, tubeFamilies } from "./tubeFamilies.ts"

/** Which tubes have metrics. */
export interface Selection {
  /** All if there is none. */
  readonly tubes: ReadonlyArray<TubePattern>
  readonly noTubes: boolean
  readonly maxTubes: number
  readonly relabel: ReadonlyArray<Rule>
}

/** The metrics of the server and of its tubes. */
export const look = (
  client: Client,
  selection: Selection,
  memory: Ref.Ref<GoneTubes.Memory>
): Effect.Effect<ReadonlyArray<Family>, ClientError | InvalidArgument> =>
  Effect.gen(function*() {
    const server = serverFamilies(yield* client.stats)
    return selection.noTubes ? server : [...server, ...yield* lookAtTubes(client, selection, memory)]
  })

const lookAtTubes = (client: Client, { maxTubes, relabel, tubes }: Selection, memory: Ref.Ref<GoneTubes.Memory>) =>
  Effect.gen(function*() {
    const all = yield* client.listTubes
    const wanted = all.filter(matchesAny(tubes))
    const labels = firstOf(new Map(wanted.toSorted().map((name) => [name, labelOf(relabel, name)])), maxTubes)
    const samples = yield* Effect.flatMap(statsOf(client, [...labels.keys()]), (stats) => withNextAges(client, stats))
    const labelled = Arr.filterMap(
      samples,
      (sample) =>
        Option.map(Option.fromNullable(labels.get(sample.stats.name)), (label): Labelled => ({ ...sample, label }))
    )
    if (relabel.length > 0) yield* Ref.update(memory, (before) => GoneTubes.remember(before, labelled))
    return [
      single("gauge", "beanstalkd_tubes_left_out", "Tubes without metrics of their own.", wanted.length - labels.size),
      ...tubeFamilies(labelled, GoneTubes.goneOf(yield* Ref.get(memory)))
    ]
  })

/** The tubes with the first labels. */
const firstOf = (labels: ReadonlyMap<string, string>, most: number): ReadonlyMap<string, string> => {
  const first = new Set([...new Set(labels.values())].toSorted().slice(0, most))
  return new Map([...labels].filter(([, label]) => first.has(label)))
}
