/**
 * Which tube a connection has selected with `use`, and therefore whether a command needs a `use` in front of it.
 *
 * The server can refuse a caller's `use`, and later commands are written before its reply arrives. Until then the selected tube is
 * unknown, and a command that needs one gets a `use` of its own. If the server refuses that one, the pipeline ends.
 */
import { defaultTube, type TubeName } from "../../Job.ts"
import type { Command } from "../protocol/command.ts"

/** One sending of a command. It is compared by identity: the same command may be sent twice. */
interface Sent {
  readonly command: Command<unknown, unknown>
}

export class TubeSelection {
  /** The tube that the server has selected once it has processed everything written; `undefined` while that is unknown. */
  private selected: TubeName | undefined = defaultTube
  /** The tube of the last `use` of a caller that was accepted. */
  private accepted: TubeName = defaultTube
  /** The last `use` of a caller, while it is unanswered. */
  private unanswered: { readonly sent: Sent; readonly tube: TubeName } | undefined = undefined

  /** Notes that a command is about to be written, and returns the tube that must be selected in front of it, if any. */
  beforeWrite(sent: Sent): TubeName | undefined {
    const { tube } = sent.command
    switch (tube._tag) {
      case "None":
        return undefined
      case "Selects":
        this.unanswered = { sent, tube: tube.name }
        this.selected = undefined
        return undefined
      case "InUse":
        return this.select(this.unanswered?.tube ?? this.accepted)
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
  onReply(sent: Sent, accepted: boolean): void {
    const { tube } = sent.command
    if (tube._tag !== "Selects") return
    if (accepted) this.accepted = tube.name
    // The reply to a later `use` decides.
    if (this.unanswered?.sent !== sent) return
    this.unanswered = undefined
    // Unless another tube was selected for a later command.
    if (accepted) this.selected ??= tube.name
  }
}
