/** What each command does, and the reply to it. `put` and `quit` are left to the connection. */
import type { Command } from "./commandParser.ts"
import type { JobStore } from "./jobStore.ts"
import type { Client, Job } from "./model.ts"
import type { ReplyWriter } from "./replyWriter.ts"
import {
  jobStatistics,
  type ServerCounters,
  type ServerIdentity,
  serverStatistics,
  tubeList,
  tubeStatistics
} from "./statsDocuments.ts"

/** The server that a command is for. */
export interface CommandTarget {
  readonly identity: ServerIdentity
  readonly store: JobStore
  readonly counters: ServerCounters
}

type StoreCommand = Exclude<Command, { readonly name: "put" } | { readonly name: "quit" }>

export const execute = (command: StoreCommand, target: CommandTarget, client: Client, reply: ReplyWriter): void => {
  const { identity: { version }, store } = target
  const { tubes } = store
  switch (command.name) {
    case "use":
      tubes.use(client, command.tube)
      return reply.line(`USING ${command.tube}`)
    case "peek":
      return replyFound(reply, store.findUploaded(command.id))
    case "peek-ready":
      return replyFound(reply, client.used.ready.head)
    case "peek-delayed":
      return replyFound(reply, client.used.delayed.head)
    case "peek-buried":
      return replyFound(reply, client.used.buried.head)
    case "reserve":
      client.isWorker = true
      return store.reserve(client, Number.POSITIVE_INFINITY)
    case "reserve-with-timeout":
      client.isWorker = true
      return store.reserve(client, command.timeout * 1000)
    case "reserve-job": {
      const job = store.reserveJob(client, command.id)
      if (job === undefined) return reply.line("NOT_FOUND")
      client.isWorker = true
      return reply.job("RESERVED", job)
    }
    case "delete":
      return replyIf(reply, store.delete(client, command.id), "DELETED")
    case "release": {
      const isQueued = store.release(client, command.id, command.priority, command.delay)
      return replyIf(reply, isQueued !== undefined, isQueued === true ? "RELEASED" : "BURIED")
    }
    case "bury":
      return replyIf(reply, store.bury(client, command.id, command.priority), "BURIED")
    case "touch":
      return replyIf(reply, store.touch(client, command.id), "TOUCHED")
    case "kick":
      return reply.number("KICKED", store.kick(client, command.bound))
    case "kick-job":
      return replyIf(reply, store.kickJob(client, command.id), "KICKED")
    case "watch":
      tubes.watch(client, command.tube)
      return reply.number("WATCHING", client.watched.length)
    case "ignore":
      if (!tubes.ignore(client, command.tube)) return reply.line("NOT_IGNORED")
      return reply.number("WATCHING", client.watched.length)
    case "pause-tube":
      if (command.tube === undefined) return reply.line("BAD_FORMAT")
      return replyIf(reply, store.pause(command.tube, command.duration), "PAUSED")
    case "stats":
      return reply.document(serverStatistics(store, target.counters, target.identity))
    case "stats-tube": {
      const tube = tubes.find(command.tube)
      if (tube === undefined) return reply.line("NOT_FOUND")
      return reply.document(tubeStatistics(tube, store.now, version))
    }
    case "stats-job": {
      const job = store.find(command.id)
      if (job === undefined) return reply.line("NOT_FOUND")
      return reply.document(jobStatistics(job, store.now, version))
    }
    case "list-tubes":
      return reply.document(tubeList(tubes.list))
    case "list-tubes-watched":
      return reply.document(tubeList(client.watched))
    case "list-tube-used":
      return reply.line(`USING ${client.used.name}`)
    case "bad-format":
      return reply.line("BAD_FORMAT")
    case "unknown-command":
      return reply.line("UNKNOWN_COMMAND")
  }
}

const replyIf = (reply: ReplyWriter, isDone: boolean, word: string): void => reply.line(isDone ? word : "NOT_FOUND")

const replyFound = (reply: ReplyWriter, job: Job | undefined): void =>
  job === undefined ? reply.line("NOT_FOUND") : reply.job("FOUND", job)
