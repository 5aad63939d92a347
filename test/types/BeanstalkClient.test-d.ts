import { describe, expectTypeOf, it } from "@effect/vitest"
import type { Config, ConfigError, Effect, Inspectable, Layer, Option, Schedule, Scope, Stream } from "effect"
import type { BeanstalkConnection, BeanstalkError, Connector, Job, Stats } from "effect-beanstalk"
import { BeanstalkClient } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"
import type { commandErrors } from "../support/commandErrors.ts"

type Client = BeanstalkClient.Client

type Errors = typeof commandErrors

/** What the client sends for one who asks. */
type Sent = Extract<keyof Errors, keyof Client>

/** The Effect a member of the client is, or makes. */
type Running<Member> = Member extends (...args: infer _) => infer Made ? Made : Member

type Success<Member> = Running<Member> extends Effect.Effect<infer A, infer _E, infer _R> ? A : never

type Failure<Member> = Running<Member> extends Effect.Effect<infer _A, infer E, infer _R> ? E : never

type Requirement<Member> = Running<Member> extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

type TagsOf<Member> = Failure<Member> extends infer E ? E extends { readonly _tag: infer Tag } ? Tag : never : never

type Equal<A, B> = [A] extends [B] ? [B] extends [A] ? true : false : false

type EveryCommand = BeanstalkError.CommandError["_tag"] | "ConnectFailed"

describe("the types of a client", () => {
  it("give each command exactly what it can fail with on a connection, and that there may be none", () => {
    type Wrong = {
      [Name in Sent]: Equal<TagsOf<Client[Name]>, EveryCommand | Errors[Name][number]> extends true ? never : Name
    }[Sent]
    expectTypeOf<Wrong>().toBeNever()
    expectTypeOf<BeanstalkClient.ClientError["_tag"]>().toEqualTypeOf<EveryCommand>()
  })

  it("name every command that needs no reservation, and no other", () => {
    expectTypeOf<Sent>().toEqualTypeOf<
      | "put"
      | "peek"
      | "peekReady"
      | "peekDelayed"
      | "peekBuried"
      | "statsJob"
      | "statsTube"
      | "stats"
      | "listTubes"
      | "delete"
      | "kick"
      | "kickJob"
      | "pauseTube"
    >()
    expectTypeOf<Exclude<keyof Client, Sent | "name" | "address" | "spans" | "health" | BeanstalkClient.TypeId>>()
      .toEqualTypeOf<
        | "ready"
        | "changes"
        | "lease"
        | "leaseWith"
        | "dedicated"
        | "putAll"
        | "jobs"
        | "jobsById"
        | "statsTubes"
        | "deleteAll"
        | "kickAll"
        | "buryAll"
        | "purge"
        | "move"
        | keyof Inspectable.Inspectable
      >()
  })

  it("cannot be made by hand without a way for workers to open their connections", () => {
    expectTypeOf<Omit<Client, "dedicated">>().not.toExtend<Client>()
  })

  it("need nothing from the environment to run a command, and a Scope for a lease", () => {
    expectTypeOf<Requirement<Client[Sent | "ready" | "purge" | "move"]>>().toBeNever()
    expectTypeOf<Requirement<Client["lease"]>>().toEqualTypeOf<Scope.Scope>()
    expectTypeOf<Requirement<Client["leaseWith"]>>().toEqualTypeOf<Scope.Scope>()
  })

  it("say what every command succeeds with", () => {
    expectTypeOf<Success<Client["put"]>>().toEqualTypeOf<Job.JobId>()
    expectTypeOf<Success<Client["peek"]>>().toEqualTypeOf<Job.PeekedJob>()
    expectTypeOf<Success<Client["peekReady" | "peekDelayed" | "peekBuried"]>>()
      .toEqualTypeOf<Option.Option<Job.PeekedJob>>()
    expectTypeOf<Success<Client["statsJob"]>>().toEqualTypeOf<Stats.JobStats>()
    expectTypeOf<Success<Client["statsTube"]>>().toEqualTypeOf<Stats.TubeStats>()
    expectTypeOf<Success<Client["stats"]>>().toEqualTypeOf<Stats.ServerStats>()
    expectTypeOf<Success<Client["listTubes"]>>().toEqualTypeOf<ReadonlyArray<Job.TubeName>>()
    expectTypeOf<Success<Client["kick"]>>().toEqualTypeOf<number>()
    expectTypeOf<Success<Client["delete" | "kickJob" | "pauseTube"]>>().toEqualTypeOf<void>()
    expectTypeOf<Success<Client["lease" | "leaseWith"]>>().toEqualTypeOf<BeanstalkConnection.Connection>()
    expectTypeOf<Client["ready"]>().toEqualTypeOf<Effect.Effect<Stats.ServerInfo, BeanstalkError.ConnectFailed>>()
    expectTypeOf<Client["changes"]>().toEqualTypeOf<Stream.Stream<BeanstalkClient.State>>()
  })

  it("let a lease fail with nothing but that it cannot be had, or was asked for wrongly", () => {
    expectTypeOf<Failure<Client["lease"]>>().toEqualTypeOf<BeanstalkError.ConnectFailed>()
    expectTypeOf<Failure<Client["leaseWith"]>>().toEqualTypeOf<
      BeanstalkError.ConnectFailed | BeanstalkError.InvalidArgument
    >()
  })

  it("always name the tube, and never take a number for an id", () => {
    expectTypeOf<Parameters<Client["put"]>["length"]>().toEqualTypeOf<2 | 3>()
    expectTypeOf<Parameters<Client["peekReady"]>>().toEqualTypeOf<[tube: string]>()
    expectTypeOf<Parameters<Client["kick"]>>().toEqualTypeOf<[tube: string, bound: number]>()
    expectTypeOf<Parameters<Client["delete"]>>().toEqualTypeOf<[id: string]>()
  })

  it("say what it takes to make one, and what can go wrong: only the options", () => {
    expectTypeOf(BeanstalkClient.make).returns.toEqualTypeOf<
      Effect.Effect<Client, BeanstalkError.InvalidArgument, Connector.Connector | Scope.Scope>
    >()
    expectTypeOf(BeanstalkClient.layer).returns.toEqualTypeOf<
      Layer.Layer<BeanstalkClient.BeanstalkClient, BeanstalkError.InvalidArgument, Connector.Connector>
    >()
    expectTypeOf(BeanstalkClient.layerConfig).returns.toEqualTypeOf<
      Layer.Layer<
        BeanstalkClient.BeanstalkClient,
        BeanstalkError.InvalidArgument | ConfigError.ConfigError,
        Connector.Connector
      >
    >()
    expectTypeOf(BeanstalkClient.layerConfig).parameter(0).toEqualTypeOf<Config.Config.Wrap<BeanstalkClient.Options>>()
    expectTypeOf(NodeBeanstalk.layerClient).returns.toEqualTypeOf<
      Layer.Layer<BeanstalkClient.BeanstalkClient, BeanstalkError.InvalidArgument>
    >()
    expectTypeOf(NodeBeanstalk.layerClientConfig).returns.toEqualTypeOf<
      Layer.Layer<BeanstalkClient.BeanstalkClient, BeanstalkError.InvalidArgument | ConfigError.ConfigError>
    >()
    expectTypeOf(NodeBeanstalk.layerClientEnv).toEqualTypeOf<
      Layer.Layer<BeanstalkClient.BeanstalkClient, BeanstalkError.InvalidArgument | ConfigError.ConfigError>
    >()
  })

  it("take any schedule that needs nothing, and tell it what was lost", () => {
    expectTypeOf<Schedule.Schedule<number, unknown>>().toExtend<BeanstalkClient.Options["reconnect"]>()
    expectTypeOf<Schedule.Schedule<number, BeanstalkClient.Lost>>().toExtend<BeanstalkClient.Options["reconnect"]>()
    expectTypeOf<Schedule.Schedule<number, Error>>().not.toExtend<BeanstalkClient.Options["reconnect"]>()
    expectTypeOf<Schedule.Schedule<number, unknown, Scope.Scope>>().not.toExtend<BeanstalkClient.Options["reconnect"]>()
  })

  it("are no clients once they are spread, unless they say whose server workers serve", () => {
    const copy = (client: Client) => ({ ...client, put: client.put })
    expectTypeOf(copy).returns.not.toExtend<Client>()
    const complete = (client: Client) => ({ ...copy(client), dedicated: client.dedicated })
    expectTypeOf(complete).returns.toExtend<Client>()
  })

  it("of a bulk command name the states of a job", () => {
    expectTypeOf<ReadonlyArray<BeanstalkClient.JobState> | undefined>().toEqualTypeOf<
      BeanstalkClient.BulkOptions["states"]
    >()
  })

  it("know no tube of the client's own", () => {
    expectTypeOf<keyof BeanstalkClient.Options & ("tube" | "watch")>().toBeNever()
  })
})
