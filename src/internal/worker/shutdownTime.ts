/** How long the steps of a shutdown may take. Times are in milliseconds. */

/** How long an interrupted handler has to end, and then a connection to close. */
const handlerGrace = 3000
const closeGrace = 900

/** How long each has at least, when the time for the shutdown is over before it has begun. */
export const leastGrace = 50

/** The moment from which a shutdown counts. */
export interface Beginning {
  readonly at: number
  /** How many jobs of the worker had ended by then. */
  readonly endedJobs: number
  /** How long the handlers of all workers that end together have at most. */
  readonly timeout: number
}

export class ShutdownTime {
  private readonly beginning: Beginning
  private readonly now: () => number

  constructor(beginning: Beginning, now: () => number) {
    this.beginning = beginning
    this.now = now
  }

  get elapsed(): number {
    return this.now() - this.beginning.at
  }

  /** How long handlers may still go on, by the `shutdownTimeout` of their worker. */
  toDrain(shutdownTimeout: number): number {
    return shutdownTimeout - this.elapsed
  }

  /**
   * How long interrupted handlers have to end. If less is left, half of it at least is for them, and not all: the Scope of yet
   * another worker may be closed after this one.
   */
  get toInterrupt(): number {
    return Math.min(handlerGrace, Math.max(this.left - closeGrace, this.left / 2, leastGrace))
  }

  get toClose(): number {
    return Math.min(closeGrace, Math.max(this.left, leastGrace))
  }

  private get left(): number {
    return this.beginning.timeout + handlerGrace + closeGrace - this.elapsed
  }
}
