/** The commands that the bench itself sends to beanstalkd, before and after the timed part. */
import { once } from "node:events"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { bodyOf, bodySize, priority, putText, ttr, tube } from "./workload.ts"
import type { Format, Workload } from "./workload.ts"

const batch = 1000

/** Sends one request and collects the answer until it is complete. */
const ask = (socket: Socket, request: string, complete: (answer: string) => boolean): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = ""
    const settle = (): void => {
      socket.off("data", onData)
      socket.off("close", onClose)
    }
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString("latin1")
      if (!complete(answer)) return
      settle()
      resolve(answer)
    }
    const onClose = (): void => {
      settle()
      reject(new Error("beanstalkd closed the bench's own connection"))
    }
    socket.on("data", onData)
    socket.on("close", onClose)
    socket.write(request, "latin1")
  })

const withConnection = async <A>(port: number, body: (socket: Socket) => Promise<A>): Promise<A> => {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true })
  await once(socket, "connect")
  try {
    return await body(socket)
  } finally {
    socket.destroy()
  }
}

const lines = (count: number) => (answer: string): boolean => answer.split("\r\n").length === count + 1

/** Puts jobs 1 … count into the bench's tube of a fresh beanstalkd, each with the body of its id. */
export const preload = (port: number, count: number, format: Format): Promise<void> =>
  withConnection(port, async (socket) => {
    await ask(socket, `use ${tube}\r\n`, lines(1))
    for (let id = 1; id <= count; id += batch) {
      const size = Math.min(batch, count - id + 1)
      let request = ""
      for (let i = id; i < id + size; i++) request += `put ${priority} 0 ${ttr} ${bodySize}\r\n${bodyOf(i, format)}\r\n`
      const answer = await ask(socket, request, lines(size))
      if (!answer.endsWith(`INSERTED ${id + size - 1}\r\n`)) throw new Error("this is not a fresh beanstalkd")
    }
  })

const body = (answer: string): string => answer.slice(answer.indexOf("\r\n") + 2, -2)

/** An answer with a body is complete when as many bytes as its first line says have arrived; any other, with its line. */
const wholeBody = (answer: string): boolean => {
  const [, size] = /^(?:OK|FOUND \d+) (\d+)\r\n/.exec(answer) ?? []
  if (size === undefined) return answer.endsWith("\r\n")
  return answer.length === answer.indexOf("\r\n") + 2 + Number(size) + 2
}

const expected = (workload: Workload, operations: number): Readonly<Record<string, number>> =>
  workload === "put"
    ? { "total-jobs": operations, "current-jobs-ready": operations }
    : {
      // beanstalkd also counts a `delete` that finds no job.
      "cmd-delete": operations,
      "cmd-release": 0,
      "current-jobs-ready": 0,
      "current-jobs-reserved": 0,
      "current-jobs-buried": 0,
      "job-timeouts": 0
    }

const countersDiffer = async (
  socket: Socket,
  counters: Readonly<Record<string, number>>
): Promise<string | undefined> => {
  const stats = await ask(socket, "stats\r\n", wholeBody)
  for (const [key, value] of Object.entries(counters)) {
    const counted = Number(new RegExp(`^${key}: (\\d+)`, "m").exec(stats)?.[1])
    if (counted !== value) return `beanstalkd counts ${key} ${counted}, and the client ${value}`
  }
  return undefined
}

/** The last command of a client that has closed may not have reached the server yet. */
const settlesWithinMillis = 2000

/** Compares the counters and jobs of beanstalkd with what the client reported. Resolves with the difference, if there is one. */
export const audit = (port: number, workload: Workload, operations: number): Promise<string | undefined> =>
  withConnection(port, async (socket) => {
    const counters = expected(workload, operations)
    const deadline = performance.now() + settlesWithinMillis
    let difference = await countersDiffer(socket, counters)
    while (difference !== undefined && performance.now() < deadline) {
      await sleep(10)
      difference = await countersDiffer(socket, counters)
    }
    if (difference !== undefined || workload !== "put") return difference
    const last = await ask(socket, `peek ${operations}\r\n`, wholeBody)
    return body(last) === putText ? undefined : "the body in beanstalkd is not the one that was put"
  })
