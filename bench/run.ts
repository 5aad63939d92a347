/** One run of one contender, inside its own process: connect, warm up, then the timed part. */
import type { Connect, Session, StartWorker } from "./contender.ts"
import { Ledger } from "./ledger.ts"
import type { Faulty, Outcome } from "./outcome.ts"
import type { ClientWorkload, WorkerWorkload } from "./workload.ts"

export interface Run {
  readonly port: number
  readonly depth: number
  readonly warmup: number
  readonly operations: number
}

/** The server answers in microseconds. If no answer came for this long, none will. */
const hangsAfterMillis = 4000
const checkEveryMillis = 500

class Fault extends Error {
  readonly fault: Faulty
  constructor(kind: Faulty["kind"], detail: string) {
    super(detail)
    this.fault = { kind, detail }
  }
}

const connectedInTime = <A>(connecting: Promise<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Fault("hangs", `not connected after ${hangsAfterMillis / 1000} s`)),
      hangsAfterMillis
    )
    connecting.then(resolve, reject).finally(() => clearTimeout(timer))
  })

/** The operations of a ledger: their ids are `firstId … firstId + operations - 1`, the first `thorough` compared whole. */
interface Part {
  readonly operations: number
  readonly firstId: number
  readonly thorough: number
}

/** Runs a contender with a ledger. Rejects at the first fault, or when no more answers arrive. */
const checked = <A>(part: Part, body: (ledger: Ledger) => Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  return new Promise<A>((resolve, reject) => {
    const { firstId, operations, thorough } = part
    const onFault = (fault: string): void => reject(new Fault("corrupts", fault))
    const ledger = new Ledger({ operations, firstId, thoroughTo: firstId + thorough - 1, onFault })
    let answered = 0
    let silentMillis = 0
    timer = setInterval(() => {
      silentMillis = ledger.answered === answered ? silentMillis + checkEveryMillis : 0
      answered = ledger.answered
      if (silentMillis < hangsAfterMillis) return
      const count = `${answered} of ${operations} operations answered`
      reject(new Fault("hangs", `${count}, then none for ${hangsAfterMillis / 1000} s`))
    }, checkEveryMillis)
    const onEnd = (value: A): void => {
      if (ledger.answered === operations) return resolve(value)
      reject(new Fault("fails", `it ended after ${ledger.answered} of ${operations} operations`))
    }
    body(ledger).then(onEnd, reject)
  }).finally(() => clearInterval(timer))
}

/** Starts the clocks. The returned function stops them. */
const startClocks = (): () => Outcome => {
  const cpuBefore = process.cpuUsage()
  const before = process.hrtime.bigint()
  return () => {
    const seconds = Number(process.hrtime.bigint() - before) / 1e9
    const cpu = process.cpuUsage(cpuBefore)
    return { kind: "measured", seconds, cpuMicros: cpu.user + cpu.system }
  }
}

const faultOf = (error: unknown): Faulty => {
  if (error instanceof Fault) return error.fault
  return { kind: "fails", detail: error instanceof Error ? error.message : String(error) }
}

/** A client on one connection: first the operations of the warm-up, then those of the timed part. */
export const runClient = async (
  connect: Connect,
  workload: ClientWorkload,
  { depth, operations, port, warmup }: Run
): Promise<Outcome> => {
  try {
    const session: Session = await connectedInTime(connect(port))
    const body = (ledger: Ledger): Promise<void> =>
      workload === "put" ? session.put(ledger, depth) : session.reserveDelete(ledger, depth)
    await checked({ operations: warmup, firstId: 1, thorough: warmup }, body)
    const stop = startClocks()
    await checked({ operations, firstId: warmup + 1, thorough: 0 }, body)
    const outcome = stop()
    await session.close()
    return outcome
  } catch (error) {
    return faultOf(error)
  }
}

/**
 * A worker runs on between the warm-up and the timed part: its clock runs from one answered job to another, with as many jobs
 * in progress at either end.
 */
export const runWorker = async (
  startWorker: StartWorker,
  workload: WorkerWorkload,
  { depth, operations, port, warmup }: Run
): Promise<Outcome> => {
  try {
    return await checked({ operations: warmup + operations, firstId: 1, thorough: warmup }, async (ledger) => {
      const waits = workload === "worker+wait"
      const worker = await connectedInTime(startWorker({ port, concurrency: depth, waits, ledger }))
      const until = async (count: number): Promise<void> => {
        await Promise.race([ledger.reached(count), worker.working])
      }
      await until(warmup)
      const stop = startClocks()
      await until(warmup + operations)
      const outcome = stop()
      await worker.close()
      return outcome
    })
  } catch (error) {
    return faultOf(error)
  }
}
