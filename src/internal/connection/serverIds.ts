/**
 * The ids of the jobs of one server of a cluster: what is above a connection has qualified ids only, and what is on the wire the
 * server's own.
 */
import type { Command } from "../protocol/command.ts"
import type { Reply } from "../protocol/reply.ts"
import type { Request } from "../protocol/requestEncoder.ts"
import { ownId, qualify, serverOf } from "../values/qualifiedId.ts"

export class ServerIds {
  private readonly server: number

  constructor(server: number) {
    this.server = server
  }

  /** Whether a command names a job of another server, where its own id may be that of a stranger's job. */
  isForeign({ job }: Command<unknown, unknown>): boolean {
    return job !== undefined && serverOf(job) !== this.server
  }

  /** What is written for a command: the id is the first argument. */
  toRequest(command: Command<unknown, unknown>): Request {
    const { body, job, line, name } = command
    if (job === undefined) return command
    const prefix = `${name} `
    return { line: prefix + ownId(job) + line.slice(prefix.length + job.length), body }
  }

  ofReply(reply: Reply): Reply {
    switch (reply._tag) {
      case "Inserted":
      case "BuriedJob":
      case "Reserved":
      case "Found":
        // It would be qualified as an id of another server, where a command would find a stranger's job.
        return serverOf(reply.id) === 0
          ? { ...reply, id: qualify(this.server, reply.id) }
          : { _tag: "Malformed", description: `the id ${reply.id}, which is too large for a server of a cluster` }
      default:
        return reply
    }
  }
}
