/** Writes the replies of one connection. */
import type { ByteBuilder } from "./byteBuilder.ts"
import type { Job } from "./model.ts"

const crlfLength = 2

export class ReplyWriter {
  private readonly output: ByteBuilder
  private readonly onReply: () => void

  /** `onReply` is called before each reply is appended to the output. */
  constructor(output: ByteBuilder, onReply: () => void) {
    this.output = output
    this.onReply = onReply
  }

  line(text: string): void {
    this.onReply()
    this.output.text(text)
    this.output.crlf()
  }

  /** A word and a number, such as `KICKED 3`. */
  number(word: string, value: number): void {
    this.onReply()
    this.output.text(word)
    this.output.argument(value)
    this.output.crlf()
  }

  /** A job with its body, as `RESERVED` or `FOUND`. */
  job(word: string, { body, id }: Job): void {
    this.onReply()
    this.output.text(word)
    this.output.argument(id)
    this.output.argument(body.length - crlfLength)
    this.output.crlf()
    this.output.append(body)
  }

  document(text: string): void {
    this.number("OK", text.length)
    this.output.text(text)
    this.output.crlf()
  }
}
