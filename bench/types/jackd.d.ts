// jackd's own types promise a named export and a default property; what its CommonJS build exports is the class itself.
// This is the part of it that the bench uses.
declare module "jackd" {
  export default class JackdClient {
    connect(options?: { readonly host?: string; readonly port?: number }): Promise<this>
    quit(): Promise<void>
    use(tube: string): Promise<string>
    watch(tube: string): Promise<number>
    ignore(tube: string): Promise<number>
    put(
      payload: string,
      options?: { readonly priority?: number; readonly delay?: number; readonly ttr?: number }
    ): Promise<string>
    reserve(): Promise<{ readonly id: string; readonly payload: Buffer }>
    delete(id: string): Promise<void>
  }
}
