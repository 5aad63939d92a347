/**
 * Nothing grows in a worker, however many jobs and connections it has had.
 *
 * `EFFECT_BEANSTALK_STRESS=1` works for twenty minutes, and prints figures.
 */
import { assert, it } from "@effect/vitest"
import { BeanstalkClient, Tube, Worker } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ChaosProxy from "./support/chaosProxy.ts"
import { connectorTo, eventually, newTube } from "./support/connections.ts"
import { describeOnOne } from "./support/servers.ts"

const stress = process.env["EFFECT_BEANSTALK_STRESS"] !== undefined
