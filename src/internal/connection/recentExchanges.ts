/** The last few requests and replies of a connection, for the error of a protocol violation. */
import { describe, type Reply } from "../protocol/reply.ts"

const capacity = 5

export class RecentExchanges {
  private readonly requests: Array<string> = []
  /** Of a reply with a body only the word is kept, and the size of the body, which may be large. */
  private readonly replies: Array<Reply | string> = []
  private readonly bodySizes: Array<number> = []
  private count = 0

  /** Called for every reply: nothing is allocated or formatted. `request` is the request line. */
  add(request: string, reply: Reply): void {
    const slot = this.count % capacity
    this.requests[slot] = request
    if ("body" in reply) {
      this.replies[slot] = reply._tag
      this.bodySizes[slot] = reply.body.length
    } else {
      this.replies[slot] = reply
    }
    this.count += 1
  }

  /** The oldest first: `put 1024 0 60 5 -> INSERTED 12`, `reserve -> RESERVED (5 bytes)`. */
  toStrings(): ReadonlyArray<string> {
    const exchanges = this.replies.map((reply, slot) => {
      const text = typeof reply === "string"
        ? `${reply.toUpperCase()} (${this.bodySizes[slot]} bytes)`
        : describe(reply)
      return `${this.requests[slot]} -> ${text}`
    })
    const oldest = this.count < capacity ? 0 : this.count % capacity
    return [...exchanges.slice(oldest), ...exchanges.slice(0, oldest)]
  }
}
