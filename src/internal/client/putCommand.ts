import * as Commands from "../protocol/commands.ts"
import { checkJobOptions, type JobOptions } from "../protocol/jobOptions.ts"
import * as Validate from "../protocol/validate.ts"

/** The `put` of a client, which always names the tube. */
export const putCommand = (tube: string, body: string | Uint8Array, options: JobOptions | undefined) =>
  Validate.attempt(() => {
    const name = Validate.tubeName("put", tube)
    const settings = checkJobOptions("put", options)
    return Commands.put(Validate.body("put", body), settings, name)
  })
