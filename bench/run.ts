/** One run of one contender, inside its own process: connect, warm up, then the timed part. */
import type { Connect, Session } from "./contender.ts"
import { Ledger } from "./ledger.ts"
import type { Faulty, Outcome } from "./outcome.ts"
import type { Workload } from "./workload.ts"

export interface Run {
  readonly port: number
  readonly workload: Workload
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

const connectedWithin = (connect: Connect, port: number): Promise<Session> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Fault("hangs", `not connected after ${hangsAfterMillis / 1000} s`)),
      hangsAfterMillis
    )
    connect(port).then(resolve, reject).finally(() => clearTimeout(timer))
  })

/** Lets the session work through a ledger, and ends the wait at the first fault or when answers stop coming. */
const work = (
  session: Session,
  run: Run,
  part: { readonly operations: number; readonly firstId: number; readonly thorough: boolean }
): Promise<void> => {
  let watch: NodeJS.Timeout | undefined
  return new Promise<void>((resolve, reject) => {
    const ledger = new Ledger({ ...part, onFault: (fault) => reject(new Fault("corrupts", fault)) })
    let answered = 0
    let silentMillis = 0
    watch = setInterval(() => {
      silentMillis = ledger.answered === answered ? silentMillis + watchEveryMillis : 0
      answered = ledger.answered
      if (silentMillis < hangsAfterMillis) return
      const count = `${answered} of ${part.operations} operations answered`
      reject(new Fault("hangs", `${count}, then none for ${hangsAfterMillis / 1000} s`))
    }, watchEveryMillis)
    const complete = (): void => {
      if (ledger.answered === part.operations) return resolve()
      reject(new Fault("fails", `it ended after ${ledger.answered} of ${part.operations} operations`))
    }
    const done = run.workload === "put" ? session.put(ledger, run.depth) : session.reserveDelete(ledger, run.depth)
    done.then(complete, reject)
  }).finally(() => clearInterval(watch))
}

const faultOf = (error: unknown): Faulty => {
  if (error instanceof Fault) return error.fault
  return { kind: "fails", detail: error instanceof Error ? error.message : String(error) }
}

export const perform = async (connect: Connect, run: Run): Promise<Outcome> => {
  try {
    const session = await connectedWithin(connect, run.port)
    await work(session, run, { operations: run.warmup, firstId: 1, thorough: true })
    const cpuBefore = process.cpuUsage()
    const before = process.hrtime.bigint()
    await work(session, run, { operations: run.operations, firstId: run.warmup + 1, thorough: false })
    const seconds = Number(process.hrtime.bigint() - before) / 1e9
    const cpu = process.cpuUsage(cpuBefore)
    await session.close()
    return { kind: "measured", seconds, cpuMicros: cpu.user + cpu.system }
  } catch (error) {
    return faultOf(error)
  }
}
