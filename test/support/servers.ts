/**
 * The servers that contract tests run against: the embedded one in memory, the embedded one on a port, and a real beanstalkd if
 * one is installed.
 */
import { describe } from "@effect/vitest"
import { Connector, EmbeddedServer } from "effect-beanstalk"
import { NodeEmbeddedServer } from "effect-beanstalk/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { mkdirSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { hostname } from "node:os"
import { join } from "node:path"
import type { TestOptions } from "vitest"
import { findBeanstalkd, startBeanstalkd, temporaryFolder } from "./beanstalkd.ts"
import { connectorTo, failsWith, openTo } from "./connections.ts"
import { full } from "./edition.ts"
import { canLimitMemory, limitMemory } from "./memory.ts"
import { describeReal } from "./real.ts"
import { type Kind, type Listening, type Server, type ServerOptions, targetOf } from "./server.ts"

// The embedded server

/** Makes something in a scope of its own, which `kill` closes before the test ends. */
const killable = <A, E>(make: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function*() {
    const life = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const made = yield* Effect.orDie(Scope.extend(make, life))
    return { made, kill: Scope.close(life, Exit.void) }
  })

/** What a test does to an embedded server. */
const insideOf = ({ drain, heal, inject }: EmbeddedServer.Server) => ({
  hostname: "localhost",
  drain,
  freeze: Effect.acquireRelease(inject(EmbeddedServer.Fault.Silence()), () => heal),
  fillQueues: inject(EmbeddedServer.Fault.NoMemoryForQueues())
})

type Make<S extends Server> = (
  options?: ServerOptions
) => Effect.Effect<{ readonly embedded: EmbeddedServer.Server; readonly server: S }, never, Scope.Scope>

const embeddedKind = <S extends Server>(name: string, make: Make<S>): Kind<S> => ({
  name,
  start: (options) => Effect.map(make(options), ({ server }) => server),
  startFull: Effect.gen(function*() {
    const { embedded, server } = yield* make()
    yield* embedded.inject(EmbeddedServer.Fault.NoMemory())
    return { server, makeRoom: embedded.heal }
  }),
  canFillQueues: true
})

const makeInMemory = ({ maxJobSize }: ServerOptions = {}) =>
  Effect.gen(function*() {
    const { kill, made } = yield* killable(EmbeddedServer.make({ maxJobSize }))
    const connector = Layer.succeed(Connector.Connector, made.connector)
    const server: Server = { ...insideOf(made.server), connector, pid: 0, kill }
    return { embedded: made.server, server }
  })

const inMemory = embeddedKind("the embedded server in memory", makeInMemory)

const listen = ({ maxJobSize, port, unix = false }: ServerOptions = {}) =>
  Effect.gen(function*() {
    const path = unix ? join(yield* temporaryFolder, "beanstalkd.sock") : undefined
    const { kill, made } = yield* killable(NodeEmbeddedServer.listen({ maxJobSize, path, port }))
    const target = targetOf(made.url)
    const server: Listening = {
      ...insideOf(made),
      connector: connectorTo(target),
      target,
      connect: () => Net.connect(target),
      pid: process.pid,
      kill
    }
    return { embedded: made, server }
  })

const listening = embeddedKind("the embedded server", listen)

// A cluster

const numbers = [1, 2, 3]

/** Three embedded servers, to each of which the same is done. */
const makeCluster = (options?: ServerOptions) =>
  Effect.gen(function*() {
    const made = yield* Effect.forEach(numbers, () => makeInMemory(options))
    const servers = made.map(({ server }) => server)
    const onEach = <A, R>(action: (server: Server) => Effect.Effect<A, never, R>) =>
      Effect.forEach(servers, action, { discard: true })
    const [first] = servers
    if (first === undefined) return yield* Effect.dieMessage("a cluster has servers")
    const server: Server = {
      ...first,
      members: servers.map(({ connector }, index) => ({
        id: index + 1,
        connector: Layer.map(connector, (context) => {
          const { socket } = Context.get(context, Connector.Connector)
          return Context.make(Connector.Connector, { socket, address: `memory-${index + 1}` })
        })
      })),
      drain: onEach(({ drain }) => drain),
      freeze: onEach(({ freeze }) => freeze),
      kill: onEach(({ kill }) => kill),
      fillQueues: onEach(({ fillQueues }) => fillQueues)
    }
    return { embedded: made.map(({ embedded }) => embedded), server }
  })

const cluster: Kind = {
  name: "a cluster of three servers",
  start: (options) => Effect.map(makeCluster(options), ({ server }) => server),
  startFull: Effect.gen(function*() {
    const { embedded, server } = yield* makeCluster()
    yield* Effect.forEach(embedded, ({ inject }) => inject(EmbeddedServer.Fault.NoMemory()))
    return { server, makeRoom: Effect.forEach(embedded, ({ heal }) => heal, { discard: true }) }
  }),
  canFillQueues: true
}

// The real one

/** The number of ready jobs in a tube after which beanstalkd doubles its list of them, for which it needs memory in one piece. */
const roomInQueue = 16_382

const spawn = ({ args = [], maxJobSize, port, unix }: ServerOptions & { readonly args?: ReadonlyArray<string> } = {}) =>
  Effect.gen(function*() {
    const limit = maxJobSize === undefined ? [] : ["-z", `${maxJobSize}`]
    const program = yield* startBeanstalkd({ port, unix, args: [...limit, ...args] })
    const { connect, ended, pid, signal, target } = program
    const server: Listening = {
      connector: connectorTo(target),
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
        // Enough for some more jobs, but not for the longer list.
        yield* limitMemory(program, 200_000)
      }).pipe(Effect.scoped, Effect.orDie)
    }
    return server
  })

const real: Kind<Listening> = {
  name: "a real beanstalkd",
  start: spawn,
  startFull: Effect.gen(function*() {
    const folder = yield* temporaryFolder
    const server = yield* spawn({ args: ["-b", folder, "-s", "4096"] })
    yield* Effect.gen(function*() {
      // The server listens before its first binlog file is there; once it has answered, it is.
      const beanstalk = yield* openTo(server)
      // Without its folder the server cannot create the next binlog file once this one is full.
      rmSync(folder, { recursive: true })
      const fill = (size: number) => failsWith(Effect.forever(beanstalk.put(new Uint8Array(size))), "OutOfMemory")
      yield* Effect.zipRight(fill(1000), fill(0))
    }).pipe(Effect.scoped, Effect.orDie)
    return { server, makeRoom: Effect.sync(() => mkdirSync(folder)) }
  }),
  canFillQueues: canLimitMemory
}

/** Tests that every kind of server must pass. */
export const describeContract = (title: string, tests: (kind: Kind) => void): void => {
  describe(`${title}, on ${inMemory.name}`, () => tests(inMemory))
  describeListening(title, tests)
}

/** Tests that every kind of server must pass, and a cluster of them too: what a client does, a cluster does. */
export const describeClients = (title: string, tests: (kind: Kind) => void): void => {
  describeContract(title, tests)
  describe(`${title}, on ${cluster.name}`, () => tests(cluster))
}

/** Why a test of a client is none of a cluster. */
const reasons = {
  "order":
    "there is no order of jobs across servers: purge, move and jobs take those of one server after, or beside, those of another",
  "each": "a number holds for each server: the window of putAll, and the reach of jobs",
  "lease": "a lease is a connection to one server, which need not be that of the job",
  "newest": "the id of one server tells nothing of the newest ids of the others, which drained servers do not tell",
  "ended": "the listing of one server may have ended before that of another makes progress",
  "waits": "a body that one server has refused waits for another server, while the source is read on"
}

/** Tests of a client that do not apply to a cluster, with the reason. */
export const ofOneServer = (kind: Kind, _reason: keyof typeof reasons, tests: () => void): void => {
  if (kind !== cluster) tests()
}

/**
 * Tests that every beanstalkd must pass that listens on a port or a socket. A sampled run leaves out the embedded one if there is
 * a real one.
 */
export const describeListening = (title: string, tests: (kind: Kind<Listening>) => void): void => {
  if (full || findBeanstalkd() === undefined) describe(`${title}, on ${listening.name}`, () => tests(listening))
  describeReal(`${title}, on ${real.name}`, () => tests(real))
}

/** Tests that need one server of any kind, since they do not test the server: a real one if there is one. */
export const describeOnOne = (title: string, options: TestOptions, tests: (kind: Kind<Listening>) => void): void => {
  const kind = findBeanstalkd() === undefined ? listening : real
  describe(`${title}, on ${kind.name}`, options, () => tests(kind))
}
