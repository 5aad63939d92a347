import { findBeanstalkd, howToInstall } from "./beanstalkd.ts"

/** In CI a missing server is a failure: nothing may be left out there. */
export default function setup() {
  if (process.env["CI"] !== undefined && findBeanstalkd() === undefined) {
    throw new Error(`CI must run the tests against a real beanstalkd. ${howToInstall}`)
  }
}
