import type * as Data from "effect/Data"
import type { Member } from "./member.ts"

/**
 * A change of a server: it has joined the cluster, its connection or status has changed, or it has left. `member` is the server as it is
 * since then.
 *
 * @category models
 * @since 0.1.0
 */
export type MemberEvent = Data.TaggedEnum<{
  Joined: { readonly member: Member }
  Changed: { readonly member: Member }
  Left: { readonly member: Member }
}>
