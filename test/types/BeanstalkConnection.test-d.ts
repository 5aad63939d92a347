import { describe, expectTypeOf, it } from "@effect/vitest"
import type { Config, ConfigError, Effect, Layer, Option, Scope } from "effect"
import type { BeanstalkError, Connector, Job, Stats } from "effect-beanstalk"
import { BeanstalkConnection } from "effect-beanstalk"
import { NodeBeanstalk, NodeConnector } from "effect-beanstalk/node"
import type { commandErrors, tags } from "../support/commandErrors.ts"

type Connection = BeanstalkConnection.Connection

type Commands = typeof commandErrors

/** The Effect a member of the connection is, or makes. */
type Running<Member> = Member extends (...args: infer _) => infer Made ? Made : Member

type TagsOf<Member> = Running<Member> extends Effect.Effect<infer _, infer Failure, infer _R>
  ? Failure extends { readonly _tag: infer Tag } ? Tag : never
  : never

type Equal<A, B> = [A] extends [B] ? [B] extends [A] ? true : false : false

type EveryCommand = BeanstalkError.CommandError["_tag"]

describe("the types", () => {
  it("give each command exactly its own error union", () => {
    type Wrong = {
      [Name in Exclude<keyof Commands, "quit">]: Equal<
        TagsOf<Connection[Name]>,
        EveryCommand | Commands[Name][number]
      > extends true ? never : Name
    }[Exclude<keyof Commands, "quit">]
    expectTypeOf<Wrong>().toBeNever()
    expectTypeOf<TagsOf<Connection["quit"]>>().toEqualTypeOf<"ConnectionLost">()
  })

  it("name every command there is, and nothing else", () => {
    type Member = {
      [Name in Exclude<keyof Connection, "ended">]: Running<Connection[Name]> extends
        Effect.Effect<infer _A, infer _E, infer _R> ? Name
        : never
    }[Exclude<keyof Connection, "ended">]
    expectTypeOf<Member>().toEqualTypeOf<keyof Commands>()
  })

  it("need nothing from the environment to run a command", () => {
    type Requirement<Member> = Running<Member> extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
    expectTypeOf<{ [Name in keyof Commands]: Requirement<Connection[Name]> }[keyof Commands]>().toBeNever()
  })

  it("say what every command can fail with", () => {
    expectTypeOf<EveryCommand>().toEqualTypeOf<
      "OutOfMemory" | "InternalError" | "BadFormat" | "UnknownCommand" | "ConnectionLost" | "ProtocolViolation"
    >()
    expectTypeOf<BeanstalkError.BeanstalkError["_tag"]>().toEqualTypeOf<typeof tags[number]>()
  })

  it("say what every command succeeds with", () => {
    type Success<Member> = Running<Member> extends Effect.Effect<infer A, infer _E, infer _R> ? A : never
    expectTypeOf<Success<Connection["put"]>>().toEqualTypeOf<Job.JobId>()
    expectTypeOf<Success<Connection["use"]>>().toEqualTypeOf<Job.TubeName>()
    expectTypeOf<Success<Connection["reserve"]>>().toEqualTypeOf<Job.ReservedJob>()
    expectTypeOf<Success<Connection["reserveWithTimeout"]>>().toEqualTypeOf<Job.ReservedJob>()
    expectTypeOf<Success<Connection["reserveJob"]>>().toEqualTypeOf<Job.ReservedJob>()
    expectTypeOf<Success<Connection["delete" | "release" | "bury" | "touch" | "kickJob"]>>().toEqualTypeOf<void>()
    expectTypeOf<Success<Connection["watch" | "ignore" | "kick"]>>().toEqualTypeOf<number>()
    expectTypeOf<Success<Connection["peek"]>>().toEqualTypeOf<Job.PeekedJob>()
    expectTypeOf<Success<Connection["peekReady" | "peekDelayed" | "peekBuried"]>>()
      .toEqualTypeOf<Option.Option<Job.PeekedJob>>()
    expectTypeOf<Success<Connection["stats"]>>().toEqualTypeOf<Stats.ServerStats>()
    expectTypeOf<Success<Connection["statsTube"]>>().toEqualTypeOf<Stats.TubeStats>()
    expectTypeOf<Success<Connection["statsJob"]>>().toEqualTypeOf<Stats.JobStats>()
    expectTypeOf<Success<Connection["listTubes" | "listTubesWatched"]>>().toEqualTypeOf<ReadonlyArray<Job.TubeName>>()
    expectTypeOf<Success<Connection["pauseTube" | "quit"]>>().toEqualTypeOf<void>()
  })

  it("do not let plain text pass for an id or a tube that came from the server", () => {
    expectTypeOf<string>().not.toExtend<Job.JobId>()
    expectTypeOf<string>().not.toExtend<Job.TubeName>()
    expectTypeOf<Job.JobId>().toExtend<string>()
    expectTypeOf<Job.JobId>().not.toExtend<Job.TubeName>()
  })

  it("do not take a number for an id, nor a release or bury without a priority", () => {
    expectTypeOf<Parameters<Connection["delete"]>>().toEqualTypeOf<[id: string]>()
    expectTypeOf<{ readonly delay: "1 second" }>().not.toExtend<Parameters<Connection["release"]>[1]>()
    expectTypeOf<Parameters<Connection["bury"]>>().toEqualTypeOf<[id: string, priority: number]>()
  })

  it("say what it takes to open a connection, and what can go wrong", () => {
    expectTypeOf(BeanstalkConnection.make).returns.toEqualTypeOf<
      Effect.Effect<
        Connection,
        BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument,
        Connector.Connector | Scope.Scope
      >
    >()
    expectTypeOf(BeanstalkConnection.layer).returns.toEqualTypeOf<
      Layer.Layer<
        BeanstalkConnection.BeanstalkConnection,
        BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument,
        Connector.Connector
      >
    >()
    expectTypeOf(NodeBeanstalk.layerConnection).returns.toEqualTypeOf<
      Layer.Layer<
        BeanstalkConnection.BeanstalkConnection,
        BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument
      >
    >()
    expectTypeOf(NodeBeanstalk.layerConnectionEnv).toEqualTypeOf<
      Layer.Layer<
        BeanstalkConnection.BeanstalkConnection,
        BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument | ConfigError.ConfigError
      >
    >()
    expectTypeOf(NodeConnector.layer).returns.toEqualTypeOf<Layer.Layer<Connector.Connector>>()
    expectTypeOf(NodeConnector.layerUrl).returns.toEqualTypeOf<
      Layer.Layer<Connector.Connector, BeanstalkError.InvalidArgument>
    >()
    expectTypeOf(BeanstalkConnection.layerConfig).parameter(0).toEqualTypeOf<
      Config.Config.Wrap<BeanstalkConnection.Options>
    >()
  })

  it("name one place for the server: a host, a path or a URL, not two of them", () => {
    expectTypeOf<{ url: string; path: string }>().not.toExtend<NodeBeanstalk.ServerOptions>()
    expectTypeOf<{ path: string; url: string; host: string }>().not.toExtend<NodeBeanstalk.ServerOptions>()
  })
})
