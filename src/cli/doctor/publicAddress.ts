/** Whether a server is reached at a public address. */
import * as Effect from "effect/Effect"
import { lookup } from "node:dns/promises"
import { BlockList, isIP, isIPv6 } from "node:net"
import { networkInterfaces } from "node:os"
import { make as makeServer, type Server } from "../server/server.ts"

const notPublic = new BlockList()
const ranges: ReadonlyArray<readonly [address: string, prefix: number]> = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8]
]
for (const [address, prefix] of ranges) notPublic.addSubnet(address, prefix, familyOf(address))

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv6(address) ? "ipv6" : "ipv4"
}

/** Whether anybody on the internet can have a route to it. */
export const isPublic = (address: string): boolean => isIP(address) > 0 && !notPublic.check(address, familyOf(address))

/** The addresses of the server, and those of this machine if it runs here. */
const addressesOf = (host: string) =>
  Effect.tryPromise(() => lookup(host, { all: true })).pipe(
    Effect.map((found) => {
      const addresses = found.map(({ address }) => address)
      const isHere = addresses.some((address) => address === "::1" || address.startsWith("127."))
      const own = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))
      return [...new Set([...addresses, ...isHere ? own : []])]
    }),
    Effect.orElseSucceed(() => [])
  )

/** How long it is tried. */
const timeout = "1 second"

/** Those of the addresses at which the very same server is reached. */
export const reachedAt = (
  { id, port }: { readonly id: string; readonly port: string },
  addresses: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.filter(
    addresses.map((address) => isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`),
    (address) =>
      Effect.flatMap(makeServer(`beanstalk://${address}`, { timeout }), ({ open }) => open).pipe(
        Effect.map(({ server }) => server.id === id),
        Effect.scoped,
        Effect.orElseSucceed(() => false)
      ),
    { concurrency: "unbounded" }
  )

/** The public addresses at which a server with this id is reached. Behind TLS, or on a unix socket, none is looked for. */
export const publicAddressesOf = ({ url }: Server, id: string): Effect.Effect<ReadonlyArray<string>> => {
  const { hostname, port, protocol } = new URL(url)
  if (protocol !== "beanstalk:") return Effect.succeed([])
  return Effect.flatMap(
    addressesOf(hostname.replaceAll(/[[\]]/g, "")),
    (addresses) => reachedAt({ id, port: port || "11300" }, addresses.filter(isPublic))
  )
}
