/** A beanstalkd started by the bench, on a free loopback port. */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { killOnExit } from "./processes.ts"

export interface Server {
  readonly port: number
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>
}

export class NoBeanstalkd extends Error {
  constructor() {
    super(
      "beanstalkd was not found. Install it (apt-get install beanstalkd, brew install beanstalkd), or give its path: "
        + "BEANSTALKD_PATH=/path/to/beanstalkd npm run bench"
    )
  }
}

const binary = process.env["BEANSTALKD_PATH"] ?? "beanstalkd"
const startAttempts = 5
const answersWithinMillis = 5000

/** The version that the binary prints, such as "beanstalkd 1.12". */
export const serverVersion = async (): Promise<string> => {
  try {
    return (await promisify(execFile)(binary, ["-v"])).stdout.trim()
  } catch {
    throw new NoBeanstalkd()
  }
}

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  if (address === null || typeof address === "string") throw new Error("no free loopback port")
  return address.port
}

/** Whether a port of this machine accepts connections. */
export const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

const attempt = async (port: number): Promise<Server | undefined> => {
  const child = spawn(binary, ["-l", "127.0.0.1", "-p", String(port)], { stdio: "ignore" })
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve())
    child.once("error", () => resolve())
  })
  killOnExit(child)
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    child.kill(signal)
    await ended
  }
  const deadline = Date.now() + answersWithinMillis
  while (child.exitCode === null && child.pid !== undefined && Date.now() < deadline) {
    if (await accepts(port)) return { port, stop }
    await sleep(5)
  }
  if (child.pid !== undefined) await stop()
  return undefined
}

/** On a free port, unless one is given. Another process may take it before beanstalkd does, hence the attempts. */
export const startServer = async ({ port }: { readonly port?: number } = {}): Promise<Server> => {
  for (let i = 0; i < startAttempts; i++) {
    const server = await attempt(port ?? await freePort())
    if (server !== undefined) return server
  }
  throw new Error(`${binary} did not open a loopback port`)
}
