/** What is measured. An operation is one `put`, or one `reserve` together with the `delete` of the job it gave. */
export type Workload = "put" | "reserve+delete"

export const workloads: ReadonlyArray<Workload> = ["put", "reserve+delete"]

/** How many operations are in flight at a time on the one connection. */
export const depths: ReadonlyArray<number> = [1, 16, 256]

export const tube = "bench"
export const priority = 1024
export const ttr = 3600
export const bodySize = 128

const serialDigits = 10
const filler = "x".repeat(bodySize - serialDigits)

/**
 * The body of the job with this id, different for every job, so that an answer handed to the wrong caller is seen. A
 * fresh beanstalkd counts its ids from 1.
 */
export const bodyOf = (id: number): string => String(id).padStart(serialDigits, "0") + filler

/** What every `put` of the `put` workload carries. */
export const putText = bodyOf(0)
export const putBytes: Uint8Array = Buffer.from(putText, "latin1")

export const isWorkload = (value: string | undefined): value is Workload =>
  value === "put" || value === "reserve+delete"

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
