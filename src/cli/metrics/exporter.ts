/** Serves metrics to Prometheus. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import type { SystemFailed } from "../failures.ts"
import { make as makeServer, type Server } from "../server/server.ts"
import type { ListenAddress } from "../values/listenAddress.ts"
import { serverUrl } from "../values/serverUrl.ts"
import { contentType, textOf } from "./family.ts"
import type * as GoneTubes from "./goneTubes.ts"
import { plain, type Request, type Response, serve } from "./httpServer.ts"
import { look, type Selection } from "./round.ts"
import { up } from "./serverFamilies.ts"
import * as Targets from "./targets.ts"

export interface Options extends Selection {
  /** The server of `/metrics`. */
  readonly server: Server
  readonly listen: ListenAddress
  /** How long connecting may take. */
  readonly timeout: Duration.Duration
}

/**
 * How long a round may take. Prometheus gives a scrape up after 10 seconds, unless it is told otherwise; the next one then gets what a
 * longer round has told meanwhile.
 */
const longestRound = "30 seconds"

const encoder = new TextEncoder()

/** Serves until the Scope closes, and succeeds with the URL. */
export const exporter = (
  { listen, server, timeout, ...selection }: Options
): Effect.Effect<string, SystemFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const roundOf = ({ address, connect }: Server) => (memory: Ref.Ref<GoneTubes.Memory>) =>
      Effect.flatMap(connect, (client) => look(client, selection, memory)).pipe(
        Effect.scoped,
        Effect.timeout(longestRound),
        Effect.tapError(({ message }) => Effect.logDebug(`There are no metrics of ${address}: ${message}`)),
        Effect.catchAll(() => Effect.succeed([up(false)])),
        // Encoded once for all who ask.
        Effect.map((families) => encoder.encode(textOf(families)))
      )
    // Apart from the others: however many servers /probe is asked for, this one is asked, and what is remembered of it is kept.
    const own = yield* Targets.one(roundOf(server))
    const others = yield* Targets.make(roundOf)

    const probe = (target: string | null): Effect.Effect<Response> =>
      Effect.flatMap(targetUrl(target ?? ""), (url) => makeServer(url, { timeout })).pipe(
        Effect.flatMap(others),
        Effect.map(Option.match({
          onNone: () => plain(503, "Too many servers are being asked. Try again."),
          onSome: metrics
        })),
        Effect.catchAll(() => Effect.succeed(plain(400, "Say which server: /probe?target=HOST:PORT")))
      )

    const answer = ({ path, query }: Request): Effect.Effect<Response> => {
      switch (path) {
        case "/metrics":
          return Effect.map(own.ask, metrics)
        case "/probe":
          return probe(query.get("target"))
        case "/healthz":
          return Effect.succeed(plain(200, "ok"))
        default:
          return Effect.succeed(plain(404, "There are /metrics, /probe?target=HOST:PORT and /healthz."))
      }
    }

    return yield* serve(listen, answer)
  })

const metrics = (body: Uint8Array): Response => ({ status: 200, type: contentType, body })

/** A request from another machine must not reach the unix sockets of this one. */
const targetUrl = (target: string): Either.Either<string, string> =>
  Either.filterOrLeft(serverUrl.read(target), (url) => !url.startsWith("unix:"), () => "is a path")
