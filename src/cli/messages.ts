/** What is said about failures. */
import type { Failure } from "./failures.ts"

/** A failure in words. */
export const messageOf = (error: Failure): string => {
  if (error._tag !== "ConnectFailed" || error.reason !== "Unreachable") return error.message
  return `cannot reach beanstalkd at ${error.address}: ${
    inWords(error.detail)
  }. Is it running, and is the address right?`
}

/** Node says `connect ECONNREFUSED 10.0.0.5:11300`. */
export const inWords = (detail: string): string => {
  const [, code] = /\b(E[A-Z]+)\b/.exec(detail) ?? []
  switch (code) {
    case "ECONNREFUSED":
      return "connection refused"
    case "ECONNRESET":
      return "connection reset"
    case "ENOTFOUND":
      return "there is no host of that name"
    case "EHOSTUNREACH":
      return "no route to that host"
    case "ENOENT":
      return "there is no such socket"
    case "EACCES":
      return "permission denied"
    default:
      return detail
  }
}
