import { cpus } from "node:os"
import { serverVersion } from "./server.ts"

export interface Machine {
  readonly beanstalkd: string
  readonly node: string
  readonly cpu: string
}

export const machineOf = async (): Promise<Machine> => ({
  beanstalkd: await serverVersion(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`
})

export const describe = ({ beanstalkd, cpu, node }: Machine): string => `${beanstalkd}, Node ${node}, ${cpu}`
