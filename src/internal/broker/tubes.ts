/** The tubes of the broker: which exist, which clients use and watch them, which are paused, and which have delayed jobs. */
import { defaultTube, type TubeName } from "../../Job.ts"
import { Heap } from "../base/heap.ts"
import { type Client, type Job, type Pause, Tube } from "./model.ts"

export class Tubes {
  /** In the order in which beanstalkd lists them: the last takes the index of one that is removed. */
  readonly list: Array<Tube> = []
  /** The tubes with delayed jobs; that with the job that is due first is the head. */
  readonly delayed = new Heap<Tube>(byFirstDelayEnd)
  readonly pauses = new Heap<Pause>((a, b) => a.until < b.until)
  readonly default: Tube
  private readonly byName = new Map<TubeName, Tube>()

  constructor() {
    this.default = this.findOrMake(defaultTube)
    this.addReference(this.default)
  }

  find(name: TubeName): Tube | undefined {
    return this.byName.get(name)
  }

  private findOrMake(name: TubeName): Tube {
    const found = this.byName.get(name)
    if (found !== undefined) return found
    const tube = new Tube(name, this.list.length)
    this.list.push(tube)
    this.byName.set(name, tube)
    return tube
  }

  addReference(tube: Tube): void {
    tube.references += 1
  }

  /** Removes a tube with its last reference. */
  dropReference(tube: Tube): void {
    tube.references -= 1
    if (tube.references === 0) this.remove(tube)
  }

  private remove(tube: Tube): void {
    this.resume(tube)
    this.byName.delete(tube.name)
    const last = this.list.pop()!
    if (last === tube) return
    // The heap orders tubes by their indices, too.
    const hasDelayed = last.delayed.size > 0
    if (hasDelayed) this.delayed.remove(last)
    this.list[tube.index] = last
    last.index = tube.index
    if (hasDelayed) this.delayed.insert(last)
  }

  // Clients

  join(client: Client): void {
    this.beginUse(client.used)
    this.beginWatch(client, this.default)
  }

  leave(client: Client): void {
    // beanstalkd removes the first until none is left, and the last takes the index of the first each time.
    const [first, ...others] = client.watched
    for (const tube of [first!, ...others.toReversed()]) this.endWatch(tube)
    this.endUse(client.used)
  }

  use(client: Client, name: TubeName): void {
    const tube = this.findOrMake(name)
    this.beginUse(tube)
    this.endUse(client.used)
    client.used = tube
  }

  watch(client: Client, name: TubeName): void {
    const tube = this.findOrMake(name)
    if (!client.watched.includes(tube)) this.beginWatch(client, tube)
  }

  /** False when the tube is the only one that the client watches. */
  ignore(client: Client, name: TubeName): boolean {
    const { watched } = client
    const tube = this.find(name)
    if (tube === undefined || !watched.includes(tube)) return true
    if (watched.length === 1) return false
    watched[watched.indexOf(tube)] = watched[watched.length - 1]!
    watched.pop()
    this.endWatch(tube)
    return true
  }

  private beginUse(tube: Tube): void {
    tube.using += 1
    this.addReference(tube)
  }

  private endUse(tube: Tube): void {
    tube.using -= 1
    this.dropReference(tube)
  }

  private beginWatch(client: Client, tube: Tube): void {
    client.watched.push(tube)
    tube.watching += 1
    this.addReference(tube)
  }

  private endWatch(tube: Tube): void {
    tube.watching -= 1
    this.dropReference(tube)
  }

  // Delays and pauses

  addDelayed(job: Job): void {
    const { tube } = job
    if (tube.delayed.size > 0) this.delayed.remove(tube)
    tube.delayed.insert(job)
    this.delayed.insert(tube)
  }

  removeDelayed(job: Job): void {
    const { tube } = job
    this.delayed.remove(tube)
    tube.delayed.remove(job)
    if (tube.delayed.size > 0) this.delayed.insert(tube)
  }

  /** Replaces the pause that the tube may have. */
  pause(tube: Tube, duration: number, until: number): void {
    this.resume(tube)
    tube.pause = { tube, duration, until, position: -1 }
    this.pauses.insert(tube.pause)
  }

  resume(tube: Tube): void {
    if (tube.pause === undefined) return
    this.pauses.remove(tube.pause)
    tube.pause = undefined
  }
}

/** Tubes that both have delayed jobs. */
const byFirstDelayEnd = (a: Tube, b: Tube): boolean => {
  const first = a.delayed.head!.deadline
  const second = b.delayed.head!.deadline
  return first === second ? a.index < b.index : first < second
}
