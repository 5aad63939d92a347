import type { Connect, StartWorker } from "./contender.ts"
import { isWorkerWorkload } from "./workload.ts"
import type { Format, Workload } from "./workload.ts"

/** Every client, loaded only in the process that runs it. */
const clients = {
  "floor": async () => (await import("./contenders/floor.ts")).connect,
  "effect-beanstalk": async () => (await import("./contenders/effect-beanstalk.ts")).connect,
  "fivebeans": async () => (await import("./contenders/fivebeans.ts")).connect,
  "jackd": async () => (await import("./contenders/jackd.ts")).connect,
  "node-beanstalk": async () => (await import("./contenders/node-beanstalk.ts")).connect,
  "beanstalkd": async () => (await import("./contenders/beanstalkd.ts")).connect
} satisfies Record<string, () => Promise<Connect>>

/** Every worker. */
const workers = {
  "floor": async () => (await import("./workers/floor.ts")).startWorker,
  "effect-beanstalk": async () => (await import("./workers/effect-beanstalk.ts")).startWorker,
  "effect-beanstalk with spans and metrics": async () =>
    (await import("./workers/effect-beanstalk.ts")).startObservedWorker,
  "effect-beanstalk Worker.jobs": async () => (await import("./workers/effect-beanstalk-jobs.ts")).startWorker,
  "fivebeans": async () => (await import("./workers/fivebeans.ts")).startWorker,
  "jackd": async () => (await import("./workers/jackd.ts")).startWorker,
  "node-beanstalk": async () => (await import("./workers/node-beanstalk.ts")).startWorker,
  "beanstalkd-worker": async () => (await import("./workers/beanstalkd-worker.ts")).startWorker
} satisfies Record<string, () => Promise<StartWorker>>

export type ClientName = keyof typeof clients
export type WorkerName = keyof typeof workers
export type ContenderName = ClientName | WorkerName

export const floor = "floor" satisfies ContenderName
export const ownClient = "effect-beanstalk" satisfies ClientName & WorkerName

export const isClientName = (value: string | undefined): value is ClientName =>
  value !== undefined && Object.hasOwn(clients, value)

export const isWorkerName = (value: string | undefined): value is WorkerName =>
  value !== undefined && Object.hasOwn(workers, value)

export const isContenderName = (value: string | undefined): value is ContenderName =>
  isClientName(value) || isWorkerName(value)

/** Whether it is another project's client or worker. */
export const isPeer = (name: ContenderName): boolean => name !== floor && !name.startsWith(ownClient)

const clientNames = Object.keys(clients).filter(isClientName)
const workerNames = Object.keys(workers).filter(isWorkerName)

export const contenderNames: ReadonlyArray<ContenderName> = [...new Set([...clientNames, ...workerNames])]

export const namesIn = (workload: Workload): ReadonlyArray<ContenderName> =>
  isWorkerWorkload(workload) ? workerNames : clientNames

export const loadClient = (name: ClientName): Promise<Connect> => clients[name]()

export const loadWorker = (name: WorkerName): Promise<StartWorker> => workers[name]()

const takesJson: ReadonlySet<ContenderName> = new Set<WorkerName>(["fivebeans", "beanstalkd-worker"])

/** The format of the jobs that are put before the clock starts. */
export const formatFor = (name: ContenderName, workload: Workload): Format =>
  isWorkerWorkload(workload) && takesJson.has(name) ? "json" : "bytes"
