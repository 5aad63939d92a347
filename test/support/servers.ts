/**
 * The beanstalkds that the contract is kept by: the embedded one, always, and the real one where there is one.
 */
import { describe } from "@effect/vitest"
import { EmbeddedServer } from "effect-beanstalk"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { mkdirSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { hostname } from "node:os"
import { join } from "node:path"
import { startBeanstalkd, temporaryFolder } from "./beanstalkd.ts"
import { failsWith, openTo } from "./connections.ts"
import { canLimitMemory, limitMemory } from "./memory.ts"
import { describeReal } from "./real.ts"
import type { Kind, Server, ServerOptions, Target } from "./server.ts"

// The embedded server

const targetOf = (url: string): Target => {
  const { hostname, pathname, port, protocol } = new URL(url)
  return protocol === "unix:" ? { path: pathname } : { host: hostname, port: Number(port) }
}

const listen = ({ maxJobSize, port, unix = false }: ServerOptions = {}) =>
  Effect.gen(function*() {
    const path = unix ? join(yield* temporaryFolder, "beanstalkd.sock") : undefined
    // It may be killed before its time.
    const life = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const embedded = yield* NodeEmbeddedServer.listen({ maxJobSize, path, port }).pipe(
      Scope.extend(life),
      Effect.orDie
    )
    const target = targetOf(embedded.url)
    const server: Server = {
      target,
      connect: () => Net.connect(target),
      pid: process.pid,
      hostname: "localhost",
      drain: embedded.drain,
      freeze: Effect.acquireRelease(embedded.inject(EmbeddedServer.Fault.Silence()), () => embedded.heal),
      kill: Scope.close(life, Exit.void),
      fillQueues: embedded.inject(EmbeddedServer.Fault.NoMemoryForQueues())
    }
    return { embedded, server }
  })

const embedded: Kind = {
  name: "the embedded server",
  start: (options) => Effect.map(listen(options), ({ server }) => server),
  startFull: Effect.gen(function*() {
    const { embedded, server } = yield* listen()
    yield* embedded.inject(EmbeddedServer.Fault.NoMemory())
    return { server, makeRoom: embedded.heal }
  }),
  canFillQueues: true
}

// The real one

/** How many jobs can be ready in a tube before the list of them has to double, which takes memory in one piece. */
const roomInQueue = 16_382

const spawn = ({ args = [], maxJobSize, port, unix }: ServerOptions & { readonly args?: ReadonlyArray<string> } = {}) =>
  Effect.gen(function*() {
    const limit = maxJobSize === undefined ? [] : ["-z", `${maxJobSize}`]
    const program = yield* startBeanstalkd({ port, unix, args: [...limit, ...args] })
    const { connect, ended, pid, signal, target } = program
    const server: Server = {
      target,
      connect,
      pid,
      hostname: hostname(),
      drain: signal("SIGUSR1"),
      freeze: Effect.acquireRelease(signal("SIGSTOP"), () => signal("SIGCONT")),
      kill: Effect.zipRight(signal("SIGKILL"), ended),
      fillQueues: Effect.gen(function*() {
        const beanstalk = yield* openTo(program)
        const filling = Array.from({ length: roomInQueue }, () => beanstalk.put(""))
        yield* Effect.all(filling, { concurrency: "unbounded", discard: true })
        // Enough for some more jobs, and not for a longer list.
        yield* limitMemory(program, 200_000)
      }).pipe(Effect.scoped, Effect.orDie)
    }
    return server
  })

const real: Kind = {
  name: "a real beanstalkd",
  start: spawn,
  startFull: Effect.gen(function*() {
    const folder = yield* temporaryFolder
    const server = yield* spawn({ args: ["-b", folder, "-s", "4096"] })
    yield* Effect.gen(function*() {
      // It listens before its first file is there, and has answered when it is.
      const beanstalk = yield* openTo(server)
      // Without its folder the server cannot begin the next file once this one is full.
      rmSync(folder, { recursive: true })
      const fill = (size: number) => failsWith(Effect.forever(beanstalk.put(new Uint8Array(size))), "OutOfMemory")
      yield* Effect.zipRight(fill(1000), fill(0))
    }).pipe(Effect.scoped, Effect.orDie)
    return { server, makeRoom: Effect.sync(() => mkdirSync(folder)) }
  }),
  canFillQueues: canLimitMemory
}

/** Tests that every beanstalkd must pass. */
export const describeContract = (title: string, tests: (kind: Kind) => void): void => {
  describe(`${title}, on ${embedded.name}`, () => tests(embedded))
  describeReal(`${title}, on ${real.name}`, () => tests(real))
}
