/**
 * Which tube a connection has selected with `use`, and therefore whether a command needs a `use` in front of it.
 *
 * The server can refuse a caller's `use`, and later commands are written before its reply arrives. Until then the selected tube is
 * unknown, and a command that needs one gets a `use` of its own. If the server refuses that one, the pipeline ends.
 */
import { defaultTube, type TubeName } from "../../Job.ts"
import type { Command } from "../protocol/command.ts"

export class TubeSelection {
  /** The tube that the server has selected once it has processed everything written; `undefined` while that is unknown. */
  private selected: TubeName | undefined = defaultTube
  /** The tube of the last `use` of a caller that was accepted. */
  private accepted: TubeName = defaultTube
  /** The tube of the last `use` of a caller that was written. */
  private requested: TubeName = defaultTube
  /** How many `use` of callers are written and not answered. */
  private unanswered = 0

  /** Notes that a command is about to be written, and returns the tube that must be selected in front of it, if any. */
  beforeWrite({ tube }: Command<unknown, unknown>): TubeName | undefined {
    switch (tube._tag) {
      case "None":
        return undefined
      case "Selects":
        this.requested = tube.name
        this.unanswered += 1
        this.selected = undefined
        return undefined
      case "InUse":
        return this.select(this.unanswered > 0 ? this.requested : this.accepted)
      case "Named":
        return this.select(tube.name)
    }
  }

  private select(tube: TubeName): TubeName | undefined {
    if (tube === this.selected) return undefined
    this.selected = tube
    return tube
  }

  /** Notes the reply to a command. */
  onReply({ tube }: Command<unknown, unknown>, accepted: boolean): void {
    if (tube._tag !== "Selects") return
    this.unanswered -= 1
    if (accepted) this.accepted = tube.name
    // The reply to a later `use` decides, unless another tube was selected for a later command.
    if (accepted && this.unanswered === 0) this.selected ??= tube.name
  }
}
