/**
 * Pages to fetch: a small HTTP server with a page for every file of `src/`, one that fails at its first request, and one that
 * always fails.
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Ref } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"

const source = new URL("../src/", import.meta.url)

const files = readdirSync(source).filter((file) => file.endsWith(".ts"))

const page = (file: string) =>
  Effect.sync(() => {
    const code = readFileSync(new URL(file, source), "utf8").replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    return HttpServerResponse.html(`<title>${file}</title><pre>${code}</pre>`)
  })

const outOfOrder = HttpServerResponse.empty({ status: 503 })

const busyAtFirst = Effect.map(Ref.make(0), (visits) =>
  Effect.map(
    Ref.updateAndGet(visits, (count) => count + 1),
    (count) => count === 1 ? outOfOrder : HttpServerResponse.html("<title>not busy any more</title>")
  ))

const router = Effect.map(
  busyAtFirst,
  (busy) =>
    files.reduce((router, file) => HttpRouter.get(router, `/${file}`, page(file)), HttpRouter.empty).pipe(
      HttpRouter.get("/busy", busy),
      HttpRouter.get("/out-of-order", outOfOrder)
    )
)

const server = Layer.unwrapEffect(Effect.map(router, (router) => HttpServer.serve(router))).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

/** Starts the server, for as long as the scope is open. Succeeds with the URLs of its pages. */
export const startPages = Effect.gen(function*() {
  const running = yield* Layer.build(server)
  return yield* HttpServer.addressFormattedWith((address) =>
    Effect.succeed([...files, "busy", "out-of-order"].map((page) => `${address}/${page}`))
  ).pipe(Effect.provide(running))
})
