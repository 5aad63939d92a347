import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { findBeanstalkd, howToInstall } from "./beanstalkd.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The folder of the bundles of `bundled.ts`, which is removed at the end of the run. */
    readonly programs: string
  }
}

export default function setup({ provide }: TestProject) {
  // In CI a missing server is a failure: nothing may be left out there.
  if (process.env["CI"] !== undefined && findBeanstalkd() === undefined) {
    throw new Error(`CI must run the tests against a real beanstalkd. ${howToInstall}`)
  }
  const programs = join(tmpdir(), `effect-beanstalk-programs-${process.pid}`)
  provide("programs", programs)
  return () => rmSync(programs, { recursive: true, force: true })
}
