/** A connection through a bad network: the sockets to the client and to the server, and a line for each direction. */
import * as Effect from "effect/Effect"
import type * as Net from "node:net"
import { type Ending, Line, type Options, type Traffic } from "./chaosLine.ts"

export type Way = "toServer" | "toClient"

/** The state of a connection when it was read. */
export interface Connection extends Readonly<Record<Way, Traffic>> {
  /** When the client made it, by `performance.now()`. */
  readonly madeAt: number
  /** Whether it was neither cut nor closed. */
  readonly isOpen: boolean
}

const closed = (socket: Net.Socket) =>
  Effect.async<void>((resume) => {
    if (socket.closed) resume(Effect.void)
    else socket.once("close", () => resume(Effect.void))
  })

export class Link {
  private readonly madeAt = performance.now()
  private readonly lines: Readonly<Record<Way, Line>>
  private readonly client: Net.Socket
  private readonly upstream: Net.Socket
  private isOpen = true

  constructor(
    client: Net.Socket,
    upstream: Net.Socket,
    optionsOf: (way: Way) => Pick<Options, "conditions" | "random" | "record">
  ) {
    this.client = client
    this.upstream = upstream
    upstream.setNoDelay(true).allowHalfOpen = true
    const end = (ending: Ending) => this.end(ending)
    this.lines = {
      toServer: new Line({ ...optionsOf("toServer"), source: client, destination: upstream, end }),
      toClient: new Line({ ...optionsOf("toClient"), source: upstream, destination: client, end })
    }
    // Not before: the server must see that the connection is cut.
    upstream.once("connect", () => this.cutIfDue())
  }

  get connection(): Connection {
    const { isOpen, lines, madeAt } = this
    return { madeAt, isOpen, toServer: lines.toServer.traffic, toClient: lines.toClient.traffic }
  }

  /** Passes on what arrives until both sockets are closed. */
  get run(): Effect.Effect<void> {
    const { client, lines, upstream } = this
    return Effect.zip(closed(client), closed(upstream), { concurrent: true }).pipe(
      Effect.raceFirst(Effect.zip(lines.toServer.run, lines.toClient.run, { concurrent: true })),
      Effect.ensuring(Effect.sync(() => this.leave()))
    )
  }

  /** Ends both directions at once. After a FIN, what still arrives is read and dropped: a socket that is closed over unread bytes sends a RST. */
  end(ending: Ending): void {
    this.isOpen = false
    for (const line of [this.lines.toServer, this.lines.toClient]) line.close(ending)
  }

  /** Ends one direction at once. */
  closeWay(way: Way): void {
    this.lines[way].close("FIN")
  }

  /** Ends the connection if a `cutAfter` is reached. */
  cutIfDue(): void {
    this.lines.toServer.cutIfDue()
    this.lines.toClient.cutIfDue()
  }

  private leave(): void {
    this.isOpen = false
    this.client.destroy()
    this.upstream.destroy()
  }
}
