import { describe } from "@effect/vitest"
import { findBeanstalkd } from "./beanstalkd.ts"

/** Tests that need a real beanstalkd. Without one they are skipped, and the summary of the run says how many. */
export const describeReal = describe.skipIf(findBeanstalkd() === undefined)
