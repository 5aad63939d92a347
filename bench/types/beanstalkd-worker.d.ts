// The npm package beanstalkd-worker has no types. This is the part of it that the bench uses.
declare module "beanstalkd-worker" {
  export interface Job {
    readonly id: number
  }

  export default class BeanstalkdWorker {
    constructor(host: string, port: number)
    handle(
      tube: string,
      handler: (this: Job, payload: string) => Promise<void>,
      options: { readonly width: number }
    ): void
    start(): void
    stop(): PromiseLike<void>
  }
}
