/**
 * What is measured. An operation is one `put`; or one `reserve` together with the `delete` of the reserved job; or, for a
 * worker, one job reserved, handed to a handler, and deleted. The handler of `worker` returns at once, that of
 * `worker+wait` waits once for the event loop.
 */
export type ClientWorkload = "put" | "reserve+delete"
export type WorkerWorkload = "worker" | "worker+wait"
export type Workload = ClientWorkload | WorkerWorkload

/**
 * How many operations are in flight at a time: commands on one connection; or a worker's jobs, each on a connection of its
 * own.
 */
const depths: Readonly<Record<Workload, ReadonlyArray<number>>> = {
  "put": [1, 16, 256],
  "reserve+delete": [1, 16, 256],
  "worker": [1, 16],
  "worker+wait": [1, 16]
}

export const isWorkload = (value: string | undefined): value is Workload =>
  value !== undefined && Object.hasOwn(depths, value)

export const isWorkerWorkload = (workload: Workload): workload is WorkerWorkload =>
  workload === "worker" || workload === "worker+wait"

export const workloads: ReadonlyArray<Workload> = Object.keys(depths).filter(isWorkload)

export const depthsOf = (workload: Workload): ReadonlyArray<number> => depths[workload]

export const tube = "bench"
export const priority = 1024
export const ttr = 3600
export const bodySize = 128

const serialDigits = 10
const filler = "x".repeat(bodySize - serialDigits)
const envelope = { type: tube, payload: "" }
const payloadSize = bodySize - JSON.stringify(envelope).length

/** Some workers accept only a JSON object with a type and a payload. It is as long as the body of the others. */
export type Format = "bytes" | "json"

const serialOf = (id: number): string => String(id).padStart(serialDigits, "0")

/** What a worker that takes JSON passes to its handler. */
const payloadOf = (id: number): string => serialOf(id).padEnd(payloadSize, "x")

/**
 * The body of the job with this id. It is different for every job, so that a reply matched to the wrong command is noticed.
 * The ids of a fresh beanstalkd start at 1.
 */
export const bodyOf = (id: number, format: Format = "bytes"): string =>
  format === "bytes" ? serialOf(id) + filler : JSON.stringify({ ...envelope, payload: payloadOf(id) })

/** The body of every `put` in the `put` workload. */
export const putText = bodyOf(0)
export const putBytes: Uint8Array = Buffer.from(putText, "latin1")

/**
 * The fault of a reserved body, if it has one. A thorough comparison is of the whole body; during the timed part only the
 * length, the serial number and the last byte are compared, which costs nanoseconds.
 */
export const bodyFault = (id: number, body: Uint8Array, thorough: boolean): string | undefined => {
  if (body.length !== bodySize) return `job ${id} came with a body of ${body.length} bytes, not ${bodySize}`
  if (thorough) {
    return Buffer.compare(body, Buffer.from(bodyOf(id), "latin1")) === 0
      ? undefined
      : `job ${id} came with a body that was never put under that id`
  }
  let serial = 0
  for (let i = 0; i < serialDigits; i++) serial = serial * 10 + (body[i] ?? 0) - 48
  return serial === id && body[bodySize - 1] === 120 ? undefined : `job ${id} came with the body of job ${serial}`
}

/** The same for the payload of a JSON body. */
export const payloadFault = (id: number, payload: string, thorough: boolean): string | undefined => {
  if (payload.length !== payloadSize) return `job ${id} came with ${payload.length} characters, not ${payloadSize}`
  if (thorough) return payload === payloadOf(id) ? undefined : `job ${id} came with a payload that was never put`
  const serial = Number(payload.slice(0, serialDigits))
  return serial === id && payload.endsWith("x") ? undefined : `job ${id} came with the payload of job ${serial}`
}
