/** Finds the jobs that are selected. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Client, ListedJob, SearchProgress } from "../../BeanstalkClient.ts"
import type { Draining } from "../../BeanstalkError.ts"
import { type Failure, Refused } from "../failures.ts"
import { readFile } from "../files.ts"
import { checkIds, eachOnce, idLines, inputIds } from "../ids.ts"
import type { Servers } from "../server/servers.ts"
import type { Terminal } from "../terminal/terminal.ts"
import type { Selection } from "./flags.ts"

export interface Finding {
  /** All tubes if there is none. */
  readonly tubes: ReadonlyArray<string> | undefined
  readonly selection: Selection
  /** Whether the bodies are wanted, which may be large. */
  readonly bodies: boolean
  readonly onProgress: (progress: SearchProgress) => Effect.Effect<void>
  /** Runs at the end with how many jobs were found that were gone before their bodies were read. */
  readonly onGone?: (count: number) => Effect.Effect<void>
}

const decoder = new TextDecoder()

/** The jobs, newest first, or in the order of their ids. Fails with `ReachExceeded` after those that are within reach. */
export const find = (
  client: Client,
  { bodies, onGone = () => Effect.void, onProgress, selection, tubes }: Finding
): Stream.Stream<ListedJob, Exclude<Failure, Draining>, Servers | Terminal> =>
  Stream.suspend(() => {
    let [found, read] = [0, 0]
    const {
      fullSpeed,
      idsFrom,
      limit,
      match,
      newerThan = Duration.infinity,
      olderThan = Duration.zero,
      reach,
      states,
      to
    } = selection
    const [least, most] = [Duration.toSeconds(olderThan), Duration.toSeconds(newerThan)]
    const wanted = {
      tube: tubes,
      states,
      bodies: bodies || match !== undefined,
      where: ({ age }: { age: number }) => {
        const isWanted = age >= least && age <= most
        if (isWanted) found += 1
        return isWanted
      }
    }
    const jobs: Stream.Stream<ListedJob, Failure, Servers | Terminal> = idsFrom === undefined
      ? client.jobs({ ...wanted, reach, newest: to, serverShare: fullSpeed ? 1 : 0.5, onProgress })
      : client.jobsById(idsIn(idsFrom), wanted)
    const counted = jobs.pipe(
      Stream.mapChunks((chunk) => {
        read += chunk.length
        return chunk
      }),
      Stream.concat(Stream.execute(Effect.suspend(() => onGone(found - read))))
    )
    const matching = match === undefined
      ? counted
      : Stream.filter(counted, ({ body }) => match.test(decoder.decode(body)))
    return (limit === undefined ? matching : Stream.take(matching, limit)).pipe(
      Stream.catchTag("Draining", () => Stream.fail(drains(client.address)))
    )
  })

const idsIn = (path: string) =>
  Stream.mapChunksEffect(
    eachOnce(path === "-" ? inputIds : idLines(readFile(path), path)),
    (ids) => Effect.as(checkIds(ids), ids)
  )

const drains = (address: string) =>
  new Refused({
    message:
      `${address} is in drain mode, and refuses the put that tells the newest id. Say with --to where to begin: ` +
      "at the id of the newest job, or above it, which only takes longer."
  })
