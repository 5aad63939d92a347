/** One run of one contender, inside its own process: connect, warm up, then the timed part. */
import type { Connect, Employ, Session } from "./contender.ts"
import { Ledger } from "./ledger.ts"
import type { Faulty, Outcome } from "./outcome.ts"
import type { Workload } from "./workload.ts"

export interface Run {
  readonly port: number
  readonly depth: number
  readonly warmup: number
  readonly operations: number
}

/** The server answers in microseconds: no answer for this long means that none will come. */
const hangsAfterMillis = 4000
const watchEveryMillis = 500

class Fault extends Error {
  readonly fault: Faulty
  constructor(kind: Faulty["kind"], detail: string) {
    super(detail)
    this.fault = { kind, detail }
  }
}

const connectedWithin = <A>(connecting: Promise<A>): Promise<A> =>
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

/** Lets a contender work through a ledger, and ends the wait at the first fault or when answers stop coming. */
const work = <A>(part: Part, through: (ledger: Ledger) => Promise<A>): Promise<A> => {
  let watch: NodeJS.Timeout | undefined
  return new Promise<A>((resolve, reject) => {
    const { firstId, operations, thorough } = part
    const onFault = (fault: string): void => reject(new Fault("corrupts", fault))
    const ledger = new Ledger({ operations, firstId, thoroughTo: firstId + thorough - 1, onFault })
    let answered = 0
    let silentMillis = 0
    watch = setInterval(() => {
      silentMillis = ledger.answered === answered ? silentMillis + watchEveryMillis : 0
      answered = ledger.answered
      if (silentMillis < hangsAfterMillis) return
      const count = `${answered} of ${operations} operations answered`
      reject(new Fault("hangs", `${count}, then none for ${hangsAfterMillis / 1000} s`))
    }, watchEveryMillis)
    const complete = (value: A): void => {
      if (ledger.answered === operations) return resolve(value)
      reject(new Fault("fails", `it ended after ${ledger.answered} of ${operations} operations`))
    }
    through(ledger).then(complete, reject)
  }).finally(() => clearInterval(watch))
}

/** Starts the clocks, and gives what stops them. */
const timed = (): () => Outcome => {
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

/** A client on one connection: it works through the warm-up, then through the timed part. */
export const perform = async (
  connect: Connect,
  workload: Exclude<Workload, "worker">,
  { depth, operations, port, warmup }: Run
): Promise<Outcome> => {
  try {
    const session: Session = await connectedWithin(connect(port))
    const through = (ledger: Ledger): Promise<void> =>
      workload === "put" ? session.put(ledger, depth) : session.reserveDelete(ledger, depth)
    await work({ operations: warmup, firstId: 1, thorough: warmup }, through)
    const stop = timed()
    await work({ operations, firstId: warmup + 1, thorough: 0 }, through)
    const outcome = stop()
    await session.close()
    return outcome
  } catch (error) {
    return faultOf(error)
  }
}

/**
 * A worker that nobody stops between the warm-up and the timed part: its clock runs from one answered job to another, with
 * as many on the way at either end.
 */
export const performWorker = async (employ: Employ, { depth, operations, port, warmup }: Run): Promise<Outcome> => {
  try {
    return await work({ operations: warmup + operations, firstId: 1, thorough: warmup }, async (ledger) => {
      const employed = await connectedWithin(employ(port, depth, ledger))
      const until = async (count: number): Promise<void> => {
        await Promise.race([ledger.reached(count), employed.working])
      }
      await until(warmup)
      const stop = timed()
      await until(warmup + operations)
      const outcome = stop()
      await employed.close()
      return outcome
    })
  } catch (error) {
    return faultOf(error)
  }
}
