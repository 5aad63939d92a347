/** Clients for tests. */
import { BeanstalkClient } from "effect-beanstalk"
import * as Effect from "effect/Effect"
import type { Server } from "./server.ts"

/** A client that closes with the scope, of the server that is there. */
export const clientTo = (server: Pick<Server, "connector">, options?: BeanstalkClient.Options) =>
  Effect.provide(BeanstalkClient.make(options), server.connector)
