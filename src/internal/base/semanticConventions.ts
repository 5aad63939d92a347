/** The attribute names of OpenTelemetry for messaging: https://opentelemetry.io/docs/specs/semconv/messaging. */
import type { TubeName } from "../../Job.ts"

interface Operation {
  readonly name: string
  readonly type: string
}

/** The attributes that an operation on a tube has from the start. */
export const attributes = (operation: Operation, tube: TubeName, address: string): Record<string, unknown> => ({
  "messaging.system": system,
  "messaging.operation.name": operation.name,
  "messaging.operation.type": operation.type,
  "messaging.destination.name": tube,
  ...serverOf(address)
})

export const system = "beanstalkd"

/** Splits an address, as the connectors of this library write it, into its parts. */
const serverOf = (address: string): Record<string, unknown> => {
  const [, path, host, port] = /^(?:unix:(.+)|\[?(.+?)\]?:(\d+))$/.exec(address) ?? []
  return {
    "server.address": path ?? host ?? address,
    ...port === undefined ? {} : { "server.port": Number(port) }
  }
}
