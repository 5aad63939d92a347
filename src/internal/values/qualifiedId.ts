/**
 * Ids of jobs that tell which server has the job. Two servers issue the same ids, so that a cluster puts the number of the server in
 * front: the id is server × 2⁴⁸ + the server's own id. A server that stores 10⁵ jobs a second issues 2⁴⁸ ids in 89 years.
 */
import { isJobId, type JobId } from "../../Job.ts"

const bitsOfOwnId = 48n

/** The largest number of a server. */
export const largestServer = 2 ** 16 - 1

/** An id with fewer digits than 2⁴⁸ is that of server 0. */
const digitsOfOwnId = `${2n ** bitsOfOwnId}`.length

const toJobId = (id: bigint): JobId => {
  const text = `${id}`
  if (!isJobId(text)) throw new Error(`job id ${text} is too large for a cluster`)
  return text
}

export const qualify = (server: number, own: JobId): JobId =>
  server === 0 ? own : toJobId((BigInt(server) << bitsOfOwnId) + BigInt(own))

export const serverOf = (id: JobId): number => id.length < digitsOfOwnId ? 0 : Number(BigInt(id) >> bitsOfOwnId)

export const ownId = (id: JobId): JobId =>
  id.length < digitsOfOwnId ? id : toJobId(BigInt.asUintN(Number(bitsOfOwnId), BigInt(id)))

/** The id below the first one of the server that has issued this one. */
export const floorOf = (id: bigint): bigint => id - BigInt.asUintN(Number(bitsOfOwnId), id)

/** The id for messages: with the server's own id, by which its log and its other clients know the job. */
export const describeId = (id: JobId): string => {
  const server = serverOf(id)
  return server === 0 ? id : `${id} (${ownId(id)} on server ${server})`
}
