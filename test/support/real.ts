import { describe } from "@effect/vitest"
import { findBeanstalkd } from "./beanstalkd.ts"

/** Tests that need the real server. Where there is none they are counted, and the run says at its end what is missing. */
export const describeReal = describe.skipIf(findBeanstalkd() === undefined)
