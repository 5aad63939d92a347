/**
 * What is measured. An operation is one `put`; or one `reserve` together with the `delete` of the job it gave; or, for a
 * worker, one job reserved, handed to a handler that does nothing, and deleted.
 */
export type Workload = "put" | "reserve+delete" | "worker"

/**
 * How many operations are in flight at a time: of the commands on one connection; of a worker, which has a connection for
 * each of them.
 */
const depths: Readonly<Record<Workload, ReadonlyArray<number>>> = {
  "put": [1, 16, 256],
  "reserve+delete": [1, 16, 256],
  "worker": [1, 16]
}

export const isWorkload = (value: string | undefined): value is Workload =>
  value !== undefined && Object.hasOwn(depths, value)

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

/** Some workers know no bodies but a JSON object with a type and a payload. It is as long as the body of the others. */
export type Format = "bytes" | "json"

const serialOf = (id: number): string => String(id).padStart(serialDigits, "0")

/** What a worker that takes JSON hands to its handler. */
const payloadOf = (id: number): string => serialOf(id).padEnd(payloadSize, "x")

/**
 * The body of the job with this id, different for every job, so that an answer handed to the wrong caller is seen. A
 * fresh beanstalkd counts its ids from 1.
 */
export const bodyOf = (id: number, format: Format = "bytes"): string =>
  format === "bytes" ? serialOf(id) + filler : JSON.stringify({ ...envelope, payload: payloadOf(id) })

/** What every `put` of the `put` workload carries. */
export const putText = bodyOf(0)
export const putBytes: Uint8Array = Buffer.from(putText, "latin1")

/**
 * Says what is wrong with a reserved body, or nothing. All of it is compared only outside the timed part; inside, its
 * length, the id it starts with and its last byte, which costs nanoseconds.
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

/** The same for a payload that came out of a JSON body. */
export const payloadFault = (id: number, payload: string, thorough: boolean): string | undefined => {
  if (payload.length !== payloadSize) return `job ${id} came with ${payload.length} characters, not ${payloadSize}`
  if (thorough) return payload === payloadOf(id) ? undefined : `job ${id} came with a payload that was never put`
  const serial = Number(payload.slice(0, serialDigits))
  return serial === id && payload.endsWith("x") ? undefined : `job ${id} came with the payload of job ${serial}`
}
