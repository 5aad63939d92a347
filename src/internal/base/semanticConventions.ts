/** What OpenTelemetry calls things in messaging. */
import type { TubeName } from "../../Job.ts"

interface Operation {
  readonly name: string
  readonly type: string
}

/** What is known of an operation on a tube before it begins. */
export const attributes = (operation: Operation, tube: TubeName, address: string): Record<string, unknown> => ({
  "messaging.system": system,
  "messaging.operation.name": operation.name,
  "messaging.operation.type": operation.type,
  "messaging.destination.name": tube,
  ...serverOf(address)
})

export const system = "beanstalkd"

/** The address as the connectors write it, in its parts. */
const serverOf = (address: string): Record<string, unknown> => {
  const [, path, host, port] = /^(?:unix:(.+)|\[?(.+?)\]?:(\d+))$/.exec(address) ?? []
  return {
    "server.address": path ?? host ?? address,
    ...port === undefined ? {} : { "server.port": Number(port) }
  }
}
