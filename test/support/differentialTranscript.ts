/** What a connection has received, cut into replies, in which values that differ between servers are masked. */

const CRLF = Buffer.from("\r\n")

/** Keys whose values differ between any two servers. */
const ofTheProcess = ["pid", "version", "rusage-utime", "rusage-stime", "id", "hostname", "os", "platform"]

/** Keys whose values depend on the time of the request. */
const ofTheTime = ["uptime", "age", "time-left", "pause-time-left"]

/** Masks the values of these keys, but not their quotes. The `id` of a job is not masked. */
const masker = (keys: ReadonlyArray<string>) => {
  const pattern = new RegExp(`^(${keys.join("|")}): (?:(")[^\\n]*"|[^\\n]*)$`, "gm")
  return (document: string) =>
    document.replace(
      pattern,
      (line: string, key: string, quote: string | undefined) =>
        key === "id" && document.startsWith("---\nid: ") ? line : `${key}: ${quote ?? ""}*${quote ?? ""}`
    )
}

export type Mask = (document: string) => string

/** With a frozen clock both servers have the same time. */
export const maskFor = (clock: "real" | "frozen"): Mask =>
  masker(clock === "frozen" ? ofTheProcess : [...ofTheProcess, ...ofTheTime])

export class Transcript {
  replies: Array<string> = []
  isClosed = false
  private rest: Buffer = Buffer.alloc(0)
  private readonly mask: Mask

  constructor(mask: Mask) {
    this.mask = mask
  }

  push(chunk: Uint8Array): void {
    this.rest = this.rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.rest, chunk])
    for (let reply = this.next(); reply !== undefined; reply = this.next()) this.replies.push(reply)
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.rest.length > 0) this.replies.push(`${this.rest.toString("latin1")} (unfinished)`)
    this.replies.push("(closed)")
  }

  /** Returns the replies since the last call. */
  take(): Array<string> {
    const taken = this.replies
    this.replies = []
    return taken
  }

  private next(): string | undefined {
    const end = this.rest.indexOf(CRLF)
    if (end < 0) return undefined
    const line = this.rest.toString("latin1", 0, end)
    const size = /^(?:(?:RESERVED|FOUND) \d+|OK) (\d+)$/.exec(line)?.[1]
    if (size === undefined) {
      this.rest = this.rest.subarray(end + 2)
      return line
    }
    const bodyEnd = end + 2 + Number(size)
    if (this.rest.length < bodyEnd + 2) return undefined
    const body = this.rest.toString("latin1", end + 2, bodyEnd + 2)
    this.rest = this.rest.subarray(bodyEnd + 2)
    // The size of a document depends on the masked values. If it were wrong, the next reply would differ.
    return line.startsWith("OK") ? `OK\n${this.mask(body)}` : `${line}\n${body}`
  }
}
