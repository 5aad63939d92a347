/** What connections report to the metrics of a client. Observers see commands and never act on them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Command, Decoded } from "../protocol/command.ts"

/** Called by a pipeline, in the order in which commands are written and answered. */
export interface PipelineObserver {
  /** This many commands are written, in one piece of this many bytes. */
  readonly onWrite: (commands: number, bytes: number) => void
  /** This many bytes have arrived. What they answer is reported next. */
  readonly onBytes: (bytes: number) => void
  readonly onReply: (command: Command<unknown, unknown>, decoded: Decoded<unknown, unknown>) => void
  /** A command that was written is not answered any more. */
  readonly onLost: (command: Command<unknown, unknown>) => void
}

export interface SessionObserver extends PipelineObserver {
  /** The handshake is done. */
  readonly onConnected: () => void
  /** The session has ended, or could not be opened. May be called again. */
  readonly onEnd: () => void
}

/** Observes the connections that are opened where it is provided. Without it, nothing is observed. */
export class ConnectionObserver extends Context.Tag("effect-beanstalk/internal/ConnectionObserver")<
  ConnectionObserver,
  { readonly onConnecting: () => SessionObserver }
>() {}

/** Observes the connections that an Effect opens, if there is an observer. */
export const observedBy =
  (observer: typeof ConnectionObserver.Service | undefined) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    observer === undefined ? self : Effect.provideService(self, ConnectionObserver, observer)
