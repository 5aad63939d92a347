/** A connection through a bad network: the client's socket, the server's, and a line each way between them. */
import * as Effect from "effect/Effect"
import type * as Net from "node:net"
import { type Ending, Line, type Options, type Traffic } from "./chaosLine.ts"

export type Way = "toServer" | "toClient"

/** A connection as it was when it was looked at. */
export interface Connection extends Readonly<Record<Way, Traffic>> {
  /** When the client made it, by `performance.now()`. */
  readonly madeAt: number
  /** Neither cut nor over. */
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
    // Not sooner: the server is to see that it is cut.
    upstream.once("connect", () => this.cutIfDue())
  }

  get connection(): Connection {
    const { isOpen, lines, madeAt } = this
    return { madeAt, isOpen, toServer: lines.toServer.traffic, toClient: lines.toClient.traffic }
  }

  /** Passes on what comes, until both sides are closed. */
  get run(): Effect.Effect<void> {
    const { client, lines, upstream } = this
    return Effect.zip(closed(client), closed(upstream), { concurrent: true }).pipe(
      Effect.raceFirst(Effect.zip(lines.toServer.run, lines.toClient.run, { concurrent: true })),
      Effect.ensuring(Effect.sync(() => this.leave()))
    )
  }

  /** Ends it, now. After a FIN what still comes goes nowhere, for a socket closed over unread bytes sends a RST. */
  end(ending: Ending): void {
    this.isOpen = false
    for (const line of [this.lines.toServer, this.lines.toClient]) line.close(ending)
  }

  /** Ends one way, now. */
  closeWay(way: Way): void {
    this.lines[way].close("FIN")
  }

  /** Ends it if enough bytes have passed, one way or the other. */
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
