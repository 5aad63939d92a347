import type { Connect, Employ } from "./contender.ts"
import type { Format, Workload } from "./workload.ts"

/** Every client in the race, loaded only in the process that runs it. */
const clients = {
  "floor": async () => (await import("./contenders/floor.ts")).connect,
  "effect-beanstalk": async () => (await import("./contenders/effect-beanstalk.ts")).connect,
  "fivebeans": async () => (await import("./contenders/fivebeans.ts")).connect,
  "jackd": async () => (await import("./contenders/jackd.ts")).connect,
  "node-beanstalk": async () => (await import("./contenders/node-beanstalk.ts")).connect,
  "beanstalkd": async () => (await import("./contenders/beanstalkd.ts")).connect
} satisfies Record<string, () => Promise<Connect>>

/** Every worker in the race. */
const workers = {
  "floor": async () => (await import("./workers/floor.ts")).employ,
  "effect-beanstalk": async () => (await import("./workers/effect-beanstalk.ts")).employ,
  "effect-beanstalk with spans and metrics": async () => (await import("./workers/effect-beanstalk.ts")).employObserved,
  "fivebeans": async () => (await import("./workers/fivebeans.ts")).employ,
  "jackd": async () => (await import("./workers/jackd.ts")).employ,
  "node-beanstalk": async () => (await import("./workers/node-beanstalk.ts")).employ,
  "beanstalkd-worker": async () => (await import("./workers/beanstalkd-worker.ts")).employ
} satisfies Record<string, () => Promise<Employ>>

export type ClientName = keyof typeof clients
export type WorkerName = keyof typeof workers
export type ContenderName = ClientName | WorkerName

export const floor = "floor" satisfies ContenderName

export const isClientName = (value: string | undefined): value is ClientName =>
  value !== undefined && Object.hasOwn(clients, value)

export const isWorkerName = (value: string | undefined): value is WorkerName =>
  value !== undefined && Object.hasOwn(workers, value)

export const isContenderName = (value: string | undefined): value is ContenderName =>
  isClientName(value) || isWorkerName(value)

const clientNames = Object.keys(clients).filter(isClientName)
const workerNames = Object.keys(workers).filter(isWorkerName)

export const contenderNames: ReadonlyArray<ContenderName> = [...new Set([...clientNames, ...workerNames])]

/** Who takes part in it. */
export const namesIn = (workload: Workload): ReadonlyArray<ContenderName> =>
  workload === "worker" ? workerNames : clientNames

export const loadClient = (name: ClientName): Promise<Connect> => clients[name]()

export const loadWorker = (name: WorkerName): Promise<Employ> => workers[name]()

const takesJson: ReadonlySet<ContenderName> = new Set<WorkerName>(["fivebeans", "beanstalkd-worker"])

/** What the bodies must be that are there before the clock starts. */
export const formatFor = (name: ContenderName, workload: Workload): Format =>
  workload === "worker" && takesJson.has(name) ? "json" : "bytes"
