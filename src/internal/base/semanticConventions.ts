/** The attribute names of OpenTelemetry for messaging: https://opentelemetry.io/docs/specs/semconv/messaging. */
import type { TubeName } from "../../Job.ts"

interface Operation {
  readonly name: string
  readonly type: string
}

/** The attributes that an operation on a tube has from the start. */
export const attributes = (operation: Operation, tube: TubeName, address: string): Record<string, unknown> => ({
  "messaging.operation.name": operation.name,
  "messaging.operation.type": operation.type,
  "messaging.destination.name": tube,
  ...ofServer(address)
})

/** The attributes of everything that is done at a server, whose address is as the connectors of this library write it. */
export const ofServer = (address: string): Record<string, string | number> => {
  const [, path, host, port] = /^(?:unix:(.+)|\[?(.+?)\]?:(\d+))$/.exec(address) ?? []
  return {
    "messaging.system": "beanstalkd",
    "server.address": path ?? host ?? address,
    ...port === undefined ? {} : { "server.port": Number(port) }
  }
}
