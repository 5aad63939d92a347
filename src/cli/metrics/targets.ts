/** The servers whose metrics are asked for, each in rounds of its own: none waits for another. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as SynchronizedRef from "effect/SynchronizedRef"
import type { Server } from "../server/server.ts"
import * as GoneTubes from "./goneTubes.ts"
import * as SharedRound from "./sharedRound.ts"

/** How many servers are known at a time: each request can name another. */
const most = 64

type Known<A> = ReadonlyMap<string, SharedRound.SharedRound<A>>

/** Asks a server; succeeds with nothing if too many are being asked. */
export type Ask<A> = (server: Server) => Effect.Effect<Option.Option<A>>

/** A round, which gets what is remembered of the server from the round before. */
type Round<A> = (memory: Ref.Ref<GoneTubes.Memory>) => Effect.Effect<A>

/** The rounds of one server. */
export const one = <A>(round: Round<A>): Effect.Effect<SharedRound.SharedRound<A>, never, Scope.Scope> =>
  Effect.flatMap(Ref.make(GoneTubes.empty), (memory) => SharedRound.make(round(memory)))

/** Asks any servers. */
export const make = <A>(roundOf: (server: Server) => Round<A>): Effect.Effect<Ask<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const known = yield* SynchronizedRef.make<Known<A>>(new Map())

    const find = (server: Server) =>
      SynchronizedRef.modifyEffect(known, (before) =>
        Effect.gen(function*() {
          const target = before.get(server.url)
          if (target !== undefined) return [Option.some(target), before]
          const kept = before.size < most ? before : yield* withoutAnIdleOne(before)
          if (kept.size >= most) return [Option.none(), before]
          const added = yield* Scope.extend(one(roundOf(server)), scope)
          return [Option.some(added), new Map([...kept, [server.url, added]])]
        }))

    return (server) =>
      Effect.flatMap(
        find(server),
        Option.match({ onNone: () => Effect.succeedNone, onSome: ({ ask }) => Effect.asSome(ask) })
      )
  })

const withoutAnIdleOne = <A>(known: Known<A>): Effect.Effect<Known<A>> =>
  Effect.map(
    Effect.findFirst(known, ([, { isActive }]) => Effect.map(isActive, (isActive) => !isActive)),
    Option.match({ onNone: () => known, onSome: ([idle]) => new Map([...known].filter(([url]) => url !== idle)) })
  )
