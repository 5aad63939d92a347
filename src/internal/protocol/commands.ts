/**
 * The commands of the protocol: the request line of each, and what each reply means to it.
 *
 * Their arguments are already checked: `BeanstalkProtocol` offers the same commands to callers with unchecked ones. Delays,
 * times to run and timeouts are whole seconds.
 */
import * as Option from "effect/Option"
import * as BeanstalkError from "../../BeanstalkError.ts"
import { type JobId, PeekedJob, ReservedJob, type TubeName } from "../../Job.ts"
import { JobStats, type ServerInfo, type ServerStats, type TubeStats } from "../../Stats.ts"
import { quoted } from "../values/printable.ts"
import { ownId } from "../values/qualifiedId.ts"
import {
  type Command,
  commandAbout,
  commandOnJob,
  failure,
  fatal,
  type Interpret,
  kindOf,
  type KindOptions,
  makeCommand,
  success,
  type TubeRelation,
  violation
} from "./command.ts"
import type { JobSettings } from "./jobOptions.ts"
import { describe, type Reply } from "./reply.ts"
import * as StatsReader from "./statsReader.ts"

const succeeded = success<void>(undefined)

/** Succeeds on a reply that is one word. */
const expectWord = (tag: Reply["_tag"]): Interpret<void, never> => (reply) => reply._tag === tag ? succeeded : undefined

const inUse: TubeRelation = { _tag: "InUse" }

/** The tube a command acts on: the one in use if it names none. */
const onTube = (name: TubeName | undefined): TubeRelation => name === undefined ? inUse : { _tag: "Named", name }

const readOnly: KindOptions = { readOnly: true }

/** Makes commands about one job each, whose arguments begin with its id. */
const onJobWith = <A, E = never>(
  name: string,
  interpret: Interpret<A, E, JobId>,
  options?: KindOptions
) => {
  const interpretAny: Interpret<A, E | BeanstalkError.JobNotFound, JobId> = (reply, origin, id) =>
    reply._tag === "NotFound"
      ? failure(() => new BeanstalkError.JobNotFound({ ...origin, id }))
      : interpret(reply, origin, id)
  const kind = kindOf(name, interpretAny, options)
  return (job: JobId, args: string) => commandOnJob(kind, job, args)
}

/** Makes commands about one job each, whose only argument is its id. */
const onJob = <A>(
  name: string,
  interpret: Interpret<A, never, JobId>,
  options?: KindOptions
) => {
  const make = onJobWith(name, interpret, options)
  return (job: JobId) => make(job, job)
}

/** Makes commands about a tube each, which must exist, and whose name is the first argument. */
const onExistingTube = <A>(name: string, interpret: Interpret<A, never, TubeName>, options?: KindOptions) => {
  const interpretAny: Interpret<A, BeanstalkError.TubeNotFound, TubeName> = (reply, origin, tube) =>
    reply._tag === "NotFound"
      ? failure(() => new BeanstalkError.TubeNotFound({ ...origin, tube }))
      : interpret(reply, origin, tube)
  const kind = kindOf(name, interpretAny, options)
  return (tube: TubeName, args: string) => commandAbout(kind, tube, args)
}

// ---------------------------------------------------------------------------------------------------------------------
// producing
// ---------------------------------------------------------------------------------------------------------------------

type PutRefused =
  | BeanstalkError.JobTooBig
  | BeanstalkError.ExpectedCRLF
  | BeanstalkError.Draining
  | BeanstalkError.Buried

const interpretPut: Interpret<JobId, PutRefused, number> = (reply, origin, size) => {
  switch (reply._tag) {
    case "Inserted":
      return success(reply.id)
    case "BuriedJob":
      return failure(() => new BeanstalkError.Buried({ ...origin, id: reply.id }))
    case "JobTooBig":
      return failure(() => new BeanstalkError.JobTooBig({ ...origin, size, limit: reply.limit }))
    case "Draining":
      return failure(() => new BeanstalkError.Draining(origin))
    // After these the server may read the body as commands.
    case "ExpectedCRLF":
      return fatal(() => new BeanstalkError.ExpectedCRLF(origin))
    case "BadFormat":
      return fatal(() => new BeanstalkError.BadFormat(origin))
    case "UnknownCommand":
      return fatal(() => new BeanstalkError.UnknownCommand(origin))
    default:
      return undefined
  }
}

const putting = kindOf("put", interpretPut)

/** Makes commands that put jobs with the same settings into the same tube. */
export const putInto = ({ delaySeconds, pri, ttrSeconds }: JobSettings, name?: TubeName) => {
  const tube = onTube(name)
  const settings = `${pri} ${delaySeconds} ${ttrSeconds} `
  return (body: Uint8Array) => {
    const size = body.length
    return commandAbout(putting, size, settings + size, tube, body)
  }
}

export const put = (body: Uint8Array, settings: JobSettings, tube?: TubeName) => putInto(settings, tube)(body)

const useTube = (name: TubeName, tube?: TubeRelation): Command<TubeName, never> =>
  makeCommand(
    "use",
    name,
    (reply) => reply._tag === "Using" && reply.tube === name ? success(name) : undefined,
    { tube }
  )

export const use = (name: TubeName) => useTube(name, { _tag: "Selects", name })

/** The `use` that is written in front of a command that names its tube: it does not change the tube in use. */
export const select = (name: TubeName) => useTube(name)

// ---------------------------------------------------------------------------------------------------------------------
// working
// ---------------------------------------------------------------------------------------------------------------------

const interpretReserve: Interpret<ReservedJob, BeanstalkError.DeadlineSoon> = (reply, origin) => {
  switch (reply._tag) {
    case "Reserved":
      return success(new ReservedJob(reply.id, reply.body))
    case "DeadlineSoon":
      return failure(() => new BeanstalkError.DeadlineSoon(origin))
    default:
      return undefined
  }
}

export const reserve = makeCommand("reserve", "", interpretReserve, {
  blocksFor: Number.POSITIVE_INFINITY,
  reserves: true
})

const interpretReserveWithTimeout: Interpret<ReservedJob, BeanstalkError.DeadlineSoon | BeanstalkError.TimedOut> = (
  reply,
  origin,
  about
) =>
  reply._tag === "TimedOut"
    ? failure(() => new BeanstalkError.TimedOut(origin))
    : interpretReserve(reply, origin, about)

export const reserveWithTimeout = (seconds: number) =>
  makeCommand("reserve-with-timeout", `${seconds}`, interpretReserveWithTimeout, {
    blocksFor: seconds,
    reserves: true
  })

export const reserveJob = onJob(
  "reserve-job",
  (reply, _, id) => reply._tag === "Reserved" && reply.id === id ? success(new ReservedJob(id, reply.body)) : undefined,
  { reserves: true }
)

export const deleteJob = onJob("delete", expectWord("Deleted"))

export const touch = onJob("touch", expectWord("Touched"))

const releaseJob = onJobWith<void, BeanstalkError.Buried>("release", (reply, origin, id) => {
  switch (reply._tag) {
    case "Released":
      return succeeded
    case "Buried":
      return failure(() => new BeanstalkError.Buried({ ...origin, id }))
    default:
      return undefined
  }
})

export const release = (id: JobId, priority: number, delaySeconds: number) =>
  releaseJob(id, `${id} ${priority} ${delaySeconds}`)

const buryJob = onJobWith("bury", expectWord("Buried"))

export const bury = (id: JobId, priority: number) => buryJob(id, `${id} ${priority}`)

export const watch = (tube: TubeName) =>
  makeCommand("watch", tube, (reply) => reply._tag === "Watching" ? success(reply.count) : undefined)

export const ignore = (tube: TubeName) =>
  makeCommand<number, BeanstalkError.NotIgnored>("ignore", tube, (reply, origin) => {
    switch (reply._tag) {
      case "Watching":
        return success(reply.count)
      case "NotIgnored":
        return failure(() => new BeanstalkError.NotIgnored({ ...origin, tube }))
      default:
        return undefined
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// inspecting
// ---------------------------------------------------------------------------------------------------------------------

export const peek = onJob(
  "peek",
  (reply, _, id) => reply._tag === "Found" && reply.id === id ? success(new PeekedJob(id, reply.body)) : undefined,
  readOnly
)

const peekFirst = (name: string) => (tube?: TubeName) =>
  makeCommand<Option.Option<PeekedJob>>(name, "", (reply) => {
    switch (reply._tag) {
      case "Found":
        return success(Option.some(new PeekedJob(reply.id, reply.body)))
      case "NotFound":
        return success(Option.none())
      default:
        return undefined
    }
  }, { tube: onTube(tube), readOnly: true })

export const peekReady = peekFirst("peek-ready")

export const peekDelayed = peekFirst("peek-delayed")

export const peekBuried = peekFirst("peek-buried")

/** Interprets a reply whose body is a document. */
const expectDocument =
  <A>(read: (document: Uint8Array) => A | StatsReader.Unreadable): Interpret<A, never> => (reply, origin) => {
    if (reply._tag !== "Ok") return undefined
    const document = read(reply.body)
    return document instanceof StatsReader.Unreadable
      ? violation(`cannot read ${quoted(document.line)}`, origin)
      : success(document)
  }

const expectJobStats = expectDocument<JobStats>(StatsReader.readJobStats)

/**
 * In a cluster the document has the server's own id, and the job the qualified one. Statistics of any other job are a violation: who
 * looks jobs up acts on those that are told.
 */
const expectStatsOf: Interpret<JobStats, never, JobId> = (reply, origin, id) => {
  const decoded = expectJobStats(reply, origin, id)
  if (decoded?._tag !== "Success" || decoded.value.id === id) return decoded
  return decoded.value.id === ownId(id) ? success(new JobStats({ ...decoded.value, id }, true)) : undefined
}

export const statsJob = onJob("stats-job", expectStatsOf, readOnly)

const noStats = success(undefined)

const expectStatsIfAny: Interpret<JobStats | undefined, never, JobId> = (reply, origin, id) =>
  reply._tag === "NotFound" ? noStats : expectStatsOf(reply, origin, id)

const lookingUp = kindOf("stats-job", expectStatsIfAny, readOnly)

/** The statistics, or `undefined` if there is no such job: an error for each id that is asked for in vain takes time. */
export const statsJobIfAny = (id: JobId): Command<JobStats | undefined, never> => commandOnJob(lookingUp, id, id)

const readTube = onExistingTube("stats-tube", expectDocument<TubeStats>(StatsReader.readTubeStats), readOnly)

export const statsTube = (tube: TubeName) => readTube(tube, tube)

export const stats = makeCommand("stats", "", expectDocument<ServerStats>(StatsReader.readServerStats), readOnly)

export const serverInfo = makeCommand("stats", "", expectDocument<ServerInfo>(StatsReader.readServerInfo), readOnly)

const expectTubeNames = expectDocument(StatsReader.readTubeNames)

export const listTubes = makeCommand("list-tubes", "", expectTubeNames, readOnly)

export const listTubesWatched = makeCommand("list-tubes-watched", "", expectTubeNames, readOnly)

export const listTubeUsed = makeCommand(
  "list-tube-used",
  "",
  (reply) => reply._tag === "Using" ? success(reply.tube) : undefined,
  { tube: inUse, readOnly: true }
)

// ---------------------------------------------------------------------------------------------------------------------
// administering
// ---------------------------------------------------------------------------------------------------------------------

export const kick = (bound: number, tube?: TubeName) =>
  makeCommand("kick", `${bound}`, (reply) => reply._tag === "KickedJobs" ? success(reply.count) : undefined, {
    tube: onTube(tube)
  })

export const kickJob = onJob("kick-job", expectWord("Kicked"))

const pause = onExistingTube("pause-tube", expectWord("Paused"))

export const pauseTube = (tube: TubeName, seconds: number) => pause(tube, `${tube} ${seconds}`)

/**
 * Any reply to `quit` but the end of the connection is a violation, even one that the server may send to every other command.
 */
export const quit = makeCommand<void>(
  "quit",
  "",
  (reply, origin) => reply._tag === "Closed" ? succeeded : violation(describe(reply), origin)
)
