/**
 * Requests to bytes: the last room a command passes through before it leaves, and the last that can stop it.
 */

/** A request line without its CRLF, and the body of a `put`. */
export interface Request {
  readonly line: string
  readonly body: Uint8Array | undefined
}

/** How many bytes a request has on the wire. */
export const encodedSize = ({ body, line }: Request): number =>
  line.length + 2 + (body === undefined ? 0 : body.length + 2)

/** The requests as bytes, one behind the other, to leave in one write. */
export const encode = (requests: ReadonlyArray<Request>): Uint8Array => {
  let size = 0
  for (const request of requests) size += encodedSize(request)
  const bytes = allocate(size)
  let offset = 0
  for (const { body, line } of requests) {
    offset = endLine(bytes, encodeLine(line, bytes, offset))
    if (body !== undefined) {
      bytes.set(body, offset)
      offset = endLine(bytes, offset + body.length)
    }
  }
  return bytes
}

const slabSize = 64 * 1024
let slab = new Uint8Array(0)
let slabUsed = 0

/**
 * Bytes that nobody uses yet. Small requests are cut from a larger piece, never to be used again: an array buffer for each
 * would be a quarter of the cost of a command.
 */
const allocate = (size: number): Uint8Array => {
  if (size > slabSize / 4) return new Uint8Array(size)
  if (slabUsed + size > slab.length) {
    slab = new Uint8Array(slabSize)
    slabUsed = 0
  }
  slabUsed += size
  return slab.subarray(slabUsed - size, slabUsed)
}

/** The most that the server reads as one line, without its CRLF. */
const longestLine = 222

/** The last line of defence: whatever came around the checks before, nothing but printable ASCII leaves as a command. */
const encodeLine = (line: string, bytes: Uint8Array, offset: number): number => {
  if (line.length > longestLine) throw impossible()
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if (code < 0x20 || code > 0x7e) throw impossible()
    bytes[offset + i] = code
  }
  return offset + line.length
}

const impossible = () => new Error("effect-beanstalk made an impossible command: please report it")

const endLine = (bytes: Uint8Array, offset: number): number => {
  bytes[offset] = 13
  bytes[offset + 1] = 10
  return offset + 2
}
