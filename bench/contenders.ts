import type { Connect } from "./contender.ts"

/** Every client in the race, loaded only in the process that runs it. */
const loaders = {
  "floor": async () => (await import("./contenders/floor.ts")).connect,
  "effect-beanstalk": async () => (await import("./contenders/effect-beanstalk.ts")).connect,
  "fivebeans": async () => (await import("./contenders/fivebeans.ts")).connect,
  "jackd": async () => (await import("./contenders/jackd.ts")).connect,
  "node-beanstalk": async () => (await import("./contenders/node-beanstalk.ts")).connect,
  "beanstalkd": async () => (await import("./contenders/beanstalkd.ts")).connect
} satisfies Record<string, () => Promise<Connect>>

export type ContenderName = keyof typeof loaders

export const floor: ContenderName = "floor"

export const isContenderName = (value: string | undefined): value is ContenderName =>
  value !== undefined && Object.hasOwn(loaders, value)

export const contenderNames: ReadonlyArray<ContenderName> = Object.keys(loaders).filter(isContenderName)

export const load = (name: ContenderName): Promise<Connect> => loaders[name]()
