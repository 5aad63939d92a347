/** That the server counts more jobs than were found within reach. */
import type { ReachExceeded } from "../../BeanstalkError.ts"
import { Stopped } from "../failures.ts"
import { thousands } from "../terminal/text.ts"

const inShort = (count: number): string => {
  if (count % 1_000_000 === 0) return `${count / 1_000_000}M`
  return count % 1000 === 0 ? `${count / 1000}k` : String(count)
}

/** `found 35 of 37 jobs among the newest 10,000,000 ids; look further with --reach 100M.` */
export const notAllFoundText = ({ asked, counted, found }: ReachExceeded): string =>
  `found ${thousands(found)} of ${thousands(counted)} jobs among the newest ${thousands(asked)} ids; ` +
  `look further with --reach ${inShort(asked * 10)}.`

export const notAllFound = (exceeded: ReachExceeded): Stopped =>
  new Stopped({ message: notAllFoundText(exceeded), cause: exceeded })
