// The npm package beanstalkd has no types. This is the part of it that the bench uses.
declare module "beanstalkd" {
  class BeanstalkdClient {
    constructor(host?: string, port?: number)
    connect(): PromiseLike<this>
    quit(): PromiseLike<void>
    use(tube: string): PromiseLike<string>
    watch(tube: string): PromiseLike<number>
    ignore(tube: string): PromiseLike<number>
    put(priority: number, delay: number, ttr: number, payload: Buffer | string): PromiseLike<number>
    reserve(): PromiseLike<[id: number, payload: Buffer]>
    delete(id: number): PromiseLike<void>
  }

  /** The CommonJS exports, as an ES module sees them. */
  const exports: { readonly default: typeof BeanstalkdClient }
  export default exports
}
