import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { findBeanstalkd, howToInstall } from "./beanstalkd.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** Where `bundled.ts` puts programs, for as long as the run lasts. */
    readonly programs: string
  }
}

export default function setup({ provide }: TestProject) {
  // In CI a missing server is a failure: nothing may be left out there.
  if (process.env["CI"] !== undefined && findBeanstalkd() === undefined) {
    throw new Error(`CI must run the tests against a real beanstalkd. ${howToInstall}`)
  }
  const programs = mkdtempSync(join(tmpdir(), "effect-beanstalk-"))
  provide("programs", programs)
  return () => rmSync(programs, { recursive: true })
}
