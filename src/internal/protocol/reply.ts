/** What beanstalkd can answer. */
import type { JobId, TubeName } from "../../Job.ts"

/**
 * A reply of beanstalkd, as a value.
 *
 * `Closed` stands for the end of the connection, which is the answer to `quit`; `Malformed` for bytes that are no reply.
 *
 * @category models
 * @since 0.1.0
 */
export type Reply =
  | ReplyWord
  | { readonly _tag: "Inserted"; readonly id: JobId }
  | { readonly _tag: "BuriedJob"; readonly id: JobId }
  | { readonly _tag: "Using"; readonly tube: TubeName }
  | { readonly _tag: "Watching"; readonly count: number }
  | { readonly _tag: "KickedJobs"; readonly count: number }
  | { readonly _tag: "Reserved"; readonly id: JobId; readonly body: Uint8Array }
  | { readonly _tag: "Found"; readonly id: JobId; readonly body: Uint8Array }
  | { readonly _tag: "Ok"; readonly body: Uint8Array }
  | { readonly _tag: "JobTooBig"; readonly limit?: number | undefined }
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Malformed"; readonly description: string }

/** The replies that are one word. */
interface ReplyWord {
  readonly _tag:
    | "Buried"
    | "Deleted"
    | "Released"
    | "Touched"
    | "Kicked"
    | "Paused"
    | "NotFound"
    | "NotIgnored"
    | "TimedOut"
    | "DeadlineSoon"
    | "ExpectedCRLF"
    | "Draining"
    | "OutOfMemory"
    | "InternalError"
    | "BadFormat"
    | "UnknownCommand"
}

/**
 * A reply in a few words, for logs and errors: as the server spells it, with the size of a body in place of the body.
 *
 * @category decoding
 * @since 0.1.0
 */
export const describe = (reply: Reply): string => {
  switch (reply._tag) {
    case "Inserted":
      return `INSERTED ${reply.id}`
    case "BuriedJob":
      return `BURIED ${reply.id}`
    case "Using":
      return `USING ${reply.tube}`
    case "Watching":
      return `WATCHING ${reply.count}`
    case "KickedJobs":
      return `KICKED ${reply.count}`
    case "Reserved":
    case "Found":
      return `${reply._tag.toUpperCase()} ${reply.id} (${reply.body.length} bytes)`
    case "Ok":
      return `OK (${reply.body.length} bytes)`
    case "Malformed":
      return reply.description
    default:
      return reply._tag.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
  }
}
