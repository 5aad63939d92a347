/** A proxy that can exchange its connection to the server while the connection of the client stays open. */
import type { Connector } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Net from "node:net"
import { connectorTo, listen } from "./connections.ts"
import type { Listening } from "./server.ts"

interface Line {
  readonly client: Net.Socket
  upstream: Net.Socket
}

export class Switchboard {
  readonly connector: Layer.Layer<Connector.Connector>
  private readonly lines: Set<Line>
  private readonly server: Pick<Listening, "connect">

  private constructor(
    server: Pick<Listening, "connect">,
    lines: Set<Line>,
    connector: Layer.Layer<Connector.Connector>
  ) {
    this.server = server
    this.lines = lines
    this.connector = connector
  }

  static make(server: Pick<Listening, "connect">) {
    const lines = new Set<Line>()
    const onConnection = (client: Net.Socket) => {
      const line = { client, upstream: connect(server, client) }
      lines.add(line)
      client.on("data", (bytes) => line.upstream.write(bytes))
      client.on("close", () => {
        lines.delete(line)
        line.upstream.destroy()
      })
    }
    return Effect.map(listen(onConnection), (target) => new Switchboard(server, lines, connectorTo(target)))
  }

  /** Exchanges every connection to the server: jobs that the old ones had reserved are ready again, unknown to the clients. */
  readonly reconnect: Effect.Effect<void> = Effect.sync(() => {
    for (const line of this.lines) {
      const { upstream } = line
      line.upstream = connect(this.server, line.client)
      upstream.removeAllListeners("close")
      upstream.destroy()
    }
  })
}

/** A connection to the server that passes what it receives on to the client. */
const connect = (server: Pick<Listening, "connect">, client: Net.Socket): Net.Socket => {
  const upstream = server.connect()
  upstream.on("data", (bytes) => client.write(bytes))
  upstream.on("error", () => client.destroy())
  upstream.on("close", () => client.destroy())
  return upstream
}
