/** Where a program listens: `HOST:PORT`, or a port alone, which is on this machine only. */
import * as Either from "effect/Either"
import { port as portValue } from "./number.ts"
import type { Value } from "./value.ts"

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export const listenAddress: Value<ListenAddress> = {
  metavar: "HOST:PORT",
  read: (text) => {
    const [, address, name, port = text] = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:\s]*)):(\d+)$/.exec(text) ?? []
    return Either.mapBoth(portValue.read(port), {
      onLeft: () => "is no address to listen on: write HOST:PORT, [IPV6]:PORT or PORT",
      onRight: (port) => ({ host: address ?? (name || "127.0.0.1"), port })
    })
  }
}
