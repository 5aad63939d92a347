import type { JobId } from "../../Job.ts"

/** Orders ids by their number, that of the job that was put first before the others. */
export const compareIds = (one: JobId, other: JobId): number => one.length - other.length || (one < other ? -1 : 1)
