/** How many jobs are reserved, or read by id, at a time, at most. */
export const maxBatch = 256

/** How many bytes the bodies of a batch may have together, unless one job alone has more. */
const maxBatchBytes = 16 * 1024 * 1024

/** How many jobs to take next, from the bodies of those that were asked for at last. */
export const nextBatch = (jobs: ReadonlyArray<{ readonly body: Uint8Array }>, batch: number): number =>
  jobs.reduce((bytes, { body }) => bytes + body.length, 0) > maxBatchBytes / 2
    ? Math.max(Math.floor(batch / 2), 1)
    : jobs.length === batch
    ? Math.min(batch * 2, maxBatch)
    : batch
