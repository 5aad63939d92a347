/** The servers that a command is for. */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidArgument } from "../../BeanstalkError.ts"
import { findClash } from "../../internal/values/serverNumber.ts"
import { WrongUsage } from "../failures.ts"
import { listed } from "../terminal/text.ts"
import { make, type Options, type Server } from "./server.ts"

export type Several = Arr.NonEmptyReadonlyArray<Server>

export class Servers extends Context.Tag("effect-beanstalk/cli/Servers")<Servers, Several>() {}

export const layer = (
  urls: Arr.NonEmptyReadonlyArray<string>,
  options: Options
): Layer.Layer<Servers, InvalidArgument | WrongUsage> =>
  Layer.effect(
    Servers,
    Effect.tap(
      Effect.forEach(urls, (url) => make(url, options)),
      (servers) => options.areTogether === true ? checkNumbers(servers) : Effect.void
    )
  )

const checkNumbers = (servers: Several): Effect.Effect<void, WrongUsage> => {
  const clash = findClash(servers.map(({ address }) => address))
  if (clash === undefined) return Effect.void
  const { number, one, other } = clash
  return new WrongUsage({
    message: one === other
      ? `--url: ${one} is given twice.`
      : `--url: ${one} and ${other} have the same number in ids, ${number}: give one of them by another name or address.`
  })
}

/** The server of a command that is for one. */
export const theServer: Effect.Effect<Server, never, Servers> = Effect.map(Servers, ([server]) => server)

/** The addresses of the servers of a command: `127.0.0.1:11300 and 127.0.0.1:11301`. */
export const addresses = (conjunction: "and" | "or"): Effect.Effect<string, never, Servers> =>
  Effect.map(Servers, (servers) => listed(servers.map(({ address }) => address), conjunction))

/** For what is said of a command that several servers were for: where, and the same for a record. */
export const whereIfSeveral: Effect.Effect<
  { readonly text: string; readonly record: { readonly urls?: ReadonlyArray<string> } },
  never,
  Servers
> = Effect.flatMap(Servers, (servers) =>
  servers.length === 1
    ? Effect.succeed({ text: "", record: {} })
    : Effect.map(addresses("and"), (text) => ({
      text: ` on ${text}`,
      record: { urls: servers.map(({ url }) => url) }
    })))
