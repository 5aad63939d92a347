import type { TubeName } from "../../Job.ts"
import { Heap, type Positioned } from "../base/heap.ts"
import { LinkedList } from "../base/linkedList.ts"
import type { Client } from "./client.ts"
import { dueSooner, type Job, moreUrgent } from "./job.ts"
import { Waiters } from "./waiters.ts"

/** A tube that hands out no jobs until its time. */
export interface Pause extends Positioned {
  readonly tube: Tube
  /** In seconds. */
  readonly duration: number
  readonly until: number
}

/** A tube. It is there as long as something refers to it: a connection that uses or watches it, or a job. */
export class Tube implements Positioned {
  readonly name: TubeName
  /** Where it stands in the list of tubes. */
  index: number
  references = 0
  readonly ready = new Heap<Job>(moreUrgent)
  readonly delayed = new Heap<Job>(dueSooner)
  readonly buried = new LinkedList<Job>()
  readonly waiters = new Waiters<Client>()
  pause: Pause | undefined = undefined
  /** Where it stands among the tubes with delayed jobs. */
  position = -1
  urgent = 0
  reserved = 0
  using = 0
  watching = 0
  totalJobs = 0
  deletes = 0
  pauses = 0

  constructor(name: TubeName, index: number) {
    this.name = name
    this.index = index
  }
}

/** A tube with delayed jobs before another: the one whose first job is due sooner, or that is listed sooner. */
const dueSoonerIn = (a: Tube, b: Tube): boolean => {
  const due = a.delayed.head!.deadline
  const other = b.delayed.head!.deadline
  return due === other ? a.index < b.index : due < other
}

/** All tubes there are, in the order in which the server lists them: the last takes the place of one that goes. */
export class Tubes {
  readonly list: Array<Tube> = []
  /** Those with delayed jobs. */
  readonly delayed = new Heap<Tube>(dueSoonerIn)
  readonly pauses = new Heap<Pause>((a, b) => a.until < b.until)
  private readonly byName = new Map<TubeName, Tube>()

  find(name: TubeName): Tube | undefined {
    return this.byName.get(name)
  }

  findOrMake(name: TubeName): Tube {
    const found = this.byName.get(name)
    if (found !== undefined) return found
    const tube = new Tube(name, this.list.length)
    this.list.push(tube)
    this.byName.set(name, tube)
    return tube
  }

  refer(tube: Tube): void {
    tube.references += 1
  }

  /** The tube goes with the last reference. Whoever wants one to stay keeps a reference. */
  unrefer(tube: Tube): void {
    tube.references -= 1
    if (tube.references === 0) this.remove(tube)
  }

  /** The first delayed job of a tube changes; its place among the tubes is found anew. */
  delay(job: Job): void {
    const { tube } = job
    if (tube.delayed.size > 0) this.delayed.remove(tube)
    tube.delayed.insert(job)
    this.delayed.insert(tube)
  }

  undelay(job: Job): void {
    const { tube } = job
    this.delayed.remove(tube)
    tube.delayed.remove(job)
    if (tube.delayed.size > 0) this.delayed.insert(tube)
  }

  /** A new pause ends the one before. */
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

  private remove(tube: Tube): void {
    this.resume(tube)
    this.byName.delete(tube.name)
    const last = this.list.pop()!
    if (last === tube) return
    const hasDelayed = last.delayed.size > 0
    if (hasDelayed) this.delayed.remove(last)
    this.list[tube.index] = last
    last.index = tube.index
    if (hasDelayed) this.delayed.insert(last)
  }
}
