// fivebeans has no types. This is the part of it that the bench uses.
declare module "fivebeans" {
  import type { EventEmitter } from "node:events"

  /** `error` is null, an Error of the socket, or the reply's first word. */
  type Callback<A extends Array<unknown>> = (error: unknown, ...answer: A) => void

  export class Client extends EventEmitter {
    constructor(host?: string, port?: number)
    connect(): void
    end(): void
    use(tube: string, callback: Callback<[tube: string]>): void
    watch(tube: string, callback: Callback<[count: string]>): void
    ignore(tube: string, callback: Callback<[count: string]>): void
    put(
      priority: number,
      delay: number,
      ttr: number,
      payload: Buffer | string,
      callback: Callback<[id: string]>
    ): void
    reserve(callback: Callback<[id: string, payload: Buffer]>): void
    destroy(id: string, callback: Callback<[]>): void
  }

  interface Handler {
    readonly type: string
    /** With three parameters it is given the id first. */
    readonly work: (id: string, payload: string, done: (action: "success") => void) => void
  }

  export class Worker extends EventEmitter {
    constructor(options: {
      readonly id: string
      readonly host: string
      readonly port: number
      readonly handlers: Readonly<Record<string, Handler>>
      readonly ignoreDefault: boolean
    })
    readonly client: Client
    start(tubes: ReadonlyArray<string>): void
  }

  const fivebeans: { readonly client: typeof Client; readonly worker: typeof Worker }
  export default fivebeans
}
