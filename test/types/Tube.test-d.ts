import { describe, expectTypeOf, it } from "@effect/vitest"
import type { Effect, Option, Sink, Tracer } from "effect"
import { type BeanstalkClient, type BeanstalkError, type Job, type Stats, Tube } from "effect-beanstalk"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

class Key extends Context.Tag("test/Key")<Key, string>() {}

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, born: Schema.Date }) {}

interface Page {
  readonly url: string
  readonly at: Date
}

const payload = Schema.Struct({ url: Schema.String, at: Schema.Date })

const Pages = Tube.make("pages", { payload, ttr: "3 minutes" })

declare const secret: Schema.Schema<Page, string, Key>

declare const packed: Schema.Schema<Page, Uint8Array>

interface WebPage {
  readonly url: string
  readonly links?: ReadonlyArray<WebPage>
  readonly size: readonly [width: number, height?: number]
}

declare const page: Schema.Schema<WebPage>

type JsonValue = string | number | boolean | null | ReadonlyArray<JsonValue> | { readonly [key: string]: JsonValue }

declare const json: Schema.Schema<JsonValue>

interface JsonObject {
  readonly [key: string]: JsonObject | ReadonlyArray<JsonObject> | string | undefined
}

declare const jsonWithMissing: Schema.Schema<JsonObject>

const branded = Schema.typeSchema(Schema.Struct({ a: Schema.String }).pipe(Schema.brand("Branded")))

declare const callback: Schema.Schema<() => void>

declare const withMethod: Schema.Schema<{ readonly a: string; run?(): void }>

interface Tree {
  readonly branches: ReadonlyArray<Tree>
  readonly value: bigint
}

declare const tree: Schema.Schema<Tree>

declare const symbol: unique symbol

const Secrets = Tube.make("secrets", { payload: secret })

type Client = BeanstalkClient.BeanstalkClient

type Put = BeanstalkError.PayloadError | BeanstalkError.PutError | BeanstalkError.ConnectFailed

type PutAll = BeanstalkError.PutAllStopped | BeanstalkError.InvalidArgument

type Peek = BeanstalkClient.ClientError | BeanstalkError.PayloadError

describe("the types of a tube", () => {
  it("are those of its Schema", () => {
    expectTypeOf(Pages).toEqualTypeOf<Tube.Tube<Page>>()
    expectTypeOf(Secrets).toEqualTypeOf<Tube.Tube<Page, Key>>()
    expectTypeOf(Tube.make("people", { payload: Person })).toEqualTypeOf<Tube.Tube<Person>>()
    expectTypeOf(Tube.text("text")).toEqualTypeOf<Tube.Tube<string>>()
    expectTypeOf(Tube.text("text", { ttr: "1 minute" })).toEqualTypeOf<Tube.Tube<string>>()
    expectTypeOf(Tube.text("text", { payload: secret })).toEqualTypeOf<Tube.Tube<Page, Key>>()
    expectTypeOf(Tube.bytes("bytes")).toEqualTypeOf<Tube.Tube<Uint8Array>>()
    expectTypeOf(Tube.bytes("bytes", { payload: packed })).toEqualTypeOf<Tube.Tube<Page>>()
  })

  it("are the same when its options come from a variable", () => {
    const defaults = { priority: 1, ttr: "1 minute" } as const
    const ofText = { payload: Schema.NumberFromString, ...defaults }
    const ofBytes = { payload: packed, ...defaults }
    expectTypeOf(Tube.make("pages", { payload, ...defaults })).toEqualTypeOf<Tube.Tube<Page>>()
    expectTypeOf(Tube.text("text", ofText)).toEqualTypeOf<Tube.Tube<number>>()
    expectTypeOf(Tube.bytes("bytes", ofBytes)).toEqualTypeOf<Tube.Tube<Page>>()
    expectTypeOf(Tube.text("text", defaults)).toEqualTypeOf<Tube.Tube<string>>()
  })

  it("are the same when jobs carry their span, which only JSON can", () => {
    expectTypeOf(Tube.make("pages", { payload, trace: true })).toEqualTypeOf<Tube.Tube<Page>>()
    expectTypeOf(Tube.make("secrets", { payload: secret, trace: true })).toEqualTypeOf<Tube.Tube<Page, Key>>()
    // @ts-expect-error: text has no option `trace`
    Tube.text("text", { trace: true })
    // @ts-expect-error: bytes have no option `trace`
    Tube.bytes("bytes", { payload: packed, trace: true })
  })

  it("do not accept a Schema of the wrong encoded type", () => {
    const ofNumbers = { payload: Schema.Number, ttr: "1 minute" } as const
    // @ts-expect-error: the Schema encodes to numbers, not to text
    Tube.text("text", ofNumbers)
    // @ts-expect-error: nor to bytes
    Tube.bytes("bytes", ofNumbers)
    expectTypeOf<{ readonly payload: typeof packed }>().not.toExtend<Parameters<typeof Tube.text<Page>>[1]>()
    expectTypeOf<{ readonly payload: typeof secret }>().not.toExtend<Parameters<typeof Tube.bytes<Page, Key>>[1]>()
  })

  it("accept what encodes to JSON, as far as the types tell", () => {
    Tube.make("pages", { payload: page })
    Tube.make("pages", { payload: json })
    Tube.make("pages", { payload: jsonWithMissing })
    Tube.make("pages", { payload: branded })
    Tube.make("pages", { payload: Schema.typeSchema(Schema.String.pipe(Schema.brand("Name"))) })
    Tube.make("pages", { payload: Schema.Option(Person) })
    Tube.make("pages", { payload: Schema.HashMap({ key: Schema.String, value: Schema.Duration }) })
    Tube.make("pages", { payload: Schema.Union(Schema.BigInt, Schema.Symbol, Schema.Chunk(Schema.URL)) })
    Tube.make("pages", { payload: Schema.Exit({ success: Person, failure: Schema.Never, defect: Schema.Defect }) })
    Tube.make("pages", { payload: Schema.Tuple(Schema.Literal(1, "a", null), Schema.optionalElement(Schema.String)) })
    Tube.make("pages", { payload: Schema.Struct({ a: Schema.UndefinedOr(Schema.String), b: Schema.Void }) })
    Tube.make("pages", { payload: Schema.partial(Schema.Struct({ a: Schema.Date })) })
    Tube.make("pages", { payload: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.Unknown) }) })
    Tube.make("pages", { payload: Schema.Object })
    expectTypeOf(Tube.make("pages", { payload: Schema.Unknown })).toEqualTypeOf<Tube.Tube<unknown>>()
    expectTypeOf(Tube.make("pages", { payload: Schema.Any })).toEqualTypeOf<
      Tube.Tube<Schema.Schema.Type<typeof Schema.Any>>
    >()
  })

  it("accept a Schema of which nothing is known", () => {
    const ofAny = <A, I, R>(payload: Schema.Schema<A, I, R>) => Tube.make("pages", { payload, trace: true })
    expectTypeOf(ofAny(secret)).toEqualTypeOf<Tube.Tube<Page, Key>>()
    const ofSame = <A>(payload: Schema.Schema<A>) => Tube.make("pages", { payload })
    expectTypeOf(ofSame(page)).toEqualTypeOf<Tube.Tube<WebPage>>()
    const ofPart = <A>(payload: Schema.Schema<{ readonly at: ReadonlyArray<A> }>) => Tube.make("pages", { payload })
    expectTypeOf(ofPart<number>).returns.toEqualTypeOf<Tube.Tube<{ readonly at: ReadonlyArray<number> }>>()
    const ofFields = <F extends Schema.Struct.Fields>(payload: Schema.Struct<F>) => Tube.make("pages", { payload })
    expectTypeOf(ofFields<{ a: typeof Schema.Date }>).returns.toExtend<Tube.Tube<{ readonly a: Date }>>()
  })

  it("do not accept what does not encode to JSON", () => {
    // @ts-expect-error: a Date
    Tube.make("pages", { payload: Schema.DateFromSelf })
    // @ts-expect-error: a Date, deep inside
    Tube.make("pages", { payload: Schema.Struct({ a: Schema.Array(Schema.Struct({ at: Schema.DateFromSelf })) }) })
    // @ts-expect-error: a Date, perhaps
    Tube.make("pages", { payload: Schema.Struct({ at: Schema.optional(Schema.NullOr(Schema.DateFromSelf)) }) })
    // @ts-expect-error: a Date, in a tube with traces
    Tube.make("pages", { payload: Schema.DateFromSelf, trace: true })
    // @ts-expect-error: a Map
    Tube.make("pages", { payload: Schema.MapFromSelf({ key: Schema.String, value: Schema.String }) })
    // @ts-expect-error: a Set
    Tube.make("pages", { payload: Schema.Record({ key: Schema.String, value: Schema.SetFromSelf(Schema.String) }) })
    // @ts-expect-error: a HashMap
    Tube.make("pages", { payload: Schema.HashMapFromSelf({ key: Schema.String, value: Schema.String }) })
    // @ts-expect-error: a Uint8Array
    Tube.make("pages", { payload: Schema.Uint8ArrayFromSelf })
    // @ts-expect-error: a bigint
    Tube.make("pages", { payload: Schema.Union(Schema.String, Schema.BigIntFromSelf) })
    // @ts-expect-error: a symbol
    Tube.make("pages", { payload: Schema.Tuple(Schema.SymbolFromSelf) })
    // @ts-expect-error: an Option
    Tube.make("pages", { payload: Schema.OptionFromSelf(Schema.String) })
    // @ts-expect-error: a Duration
    Tube.make("pages", { payload: Schema.DurationFromSelf })
    // @ts-expect-error: a URL
    Tube.make("pages", { payload: Schema.URLFromSelf })
    // @ts-expect-error: a function
    Tube.make("pages", { payload: callback })
    // @ts-expect-error: a method
    Tube.make("pages", { payload: withMethod })
    // @ts-expect-error: a bigint in what contains itself
    Tube.make("pages", { payload: tree })
    // @ts-expect-error: a symbol as a key
    Tube.make("pages", { payload: Schema.Struct({ [symbol]: Schema.String }) })
    // @ts-expect-error: undefined
    Tube.make("pages", { payload: Schema.UndefinedOr(Schema.String) })
    // @ts-expect-error: nothing
    Tube.make("pages", { payload: Schema.Void })
    // @ts-expect-error: undefined in an array
    Tube.make("pages", { payload: Schema.Array(Schema.UndefinedOr(Schema.String)) })
    // @ts-expect-error: a Date beside something of which nothing is known
    const partly = <A>(payload: Schema.Schema<{ readonly at: Date; readonly a: A }>) => Tube.make("pages", { payload })
    expectTypeOf(partly).toBeFunction()
  })

  it("do not take another payload", () => {
    expectTypeOf(Pages.put).parameter(0).toEqualTypeOf<Page>()
    expectTypeOf(Pages.encode).parameter(0).toEqualTypeOf<Page>()
    expectTypeOf<{ readonly url: string }>().not.toExtend<Parameters<typeof Pages.put>[0]>()
    expectTypeOf<typeof payload.Encoded>().not.toExtend<Parameters<typeof Pages.put>[0]>()
    expectTypeOf<Stream.Stream<typeof payload.Encoded>>().not.toExtend<Parameters<typeof Pages.putAll>[0]>()
    expectTypeOf<Stream.Stream<Page>>().toExtend<Parameters<typeof Pages.putAll>[0]>()
    type In = ReturnType<typeof Pages.sink> extends Sink.Sink<infer _A, infer In, infer _L, infer _E, infer _R> ? In
      : never
    expectTypeOf<In>().toEqualTypeOf<Page>()
    expectTypeOf<Tube.Tube<Page>>().not.toExtend<Tube.Tube<{ readonly url: string }>>()
    expectTypeOf<Tube.Tube<{ readonly url: string }>>().not.toExtend<Tube.Tube<Page>>()
  })

  it("say what its members give, fail with, and need", () => {
    type Expected<R> = {
      readonly encode: (payload: Page) => Effect.Effect<string | Uint8Array, BeanstalkError.PayloadError, R>
      readonly decode: (
        job: Job.ReservedJob | Job.PeekedJob
      ) => Effect.Effect<Page, BeanstalkError.PayloadError, R>
      readonly senderOf: (job: Job.ReservedJob | Job.PeekedJob) => Option.Option<Tracer.ExternalSpan>
      readonly put: (payload: Page) => Effect.Effect<Job.JobId, Put, Client | R>
      readonly sink: () => Sink.Sink<number, Page, never, PutAll, Client | R>
      readonly peekReady: Effect.Effect<Option.Option<Tube.Peeked<Page>>, Peek, Client | R>
      readonly peekDelayed: Effect.Effect<Option.Option<Tube.Peeked<Page>>, Peek, Client | R>
      readonly peekBuried: Effect.Effect<Option.Option<Tube.Peeked<Page>>, Peek, Client | R>
      readonly stats: Effect.Effect<
        Stats.TubeStats,
        BeanstalkClient.ClientError | BeanstalkError.TubeNotFound,
        Client
      >
      readonly kick: (bound: number) => Effect.Effect<
        number,
        BeanstalkError.TubeError | BeanstalkError.ConnectFailed,
        Client
      >
      readonly pause: (duration: "1 second") => Effect.Effect<
        void,
        BeanstalkError.ExistingTubeError | BeanstalkError.ConnectFailed,
        Client
      >
      readonly purge: () => Effect.Effect<
        BeanstalkClient.Tally,
        BeanstalkError.InvalidArgument | BeanstalkError.ConnectFailed | BeanstalkError.BulkStopped,
        Client
      >
    }
    /** The type of each member, or of what it returns. */
    type Results<T> = { readonly [K in keyof T]: T[K] extends (...args: infer _) => infer Made ? Made : T[K] }
    expectTypeOf<Results<Pick<Tube.Tube<Page>, keyof Expected<never>>>>().toEqualTypeOf<Results<Expected<never>>>()
    expectTypeOf<Results<Pick<Tube.Tube<Page, Key>, keyof Expected<Key>>>>().toEqualTypeOf<Results<Expected<Key>>>()
  })

  it("add what the source of putAll fails with and needs", () => {
    const source: Stream.Stream<Page, "broken", "database"> = Stream.never
    expectTypeOf(Secrets.putAll(source)).toEqualTypeOf<
      Stream.Stream<Job.JobId, "broken" | PutAll, "database" | Client | Key>
    >()
    expectTypeOf(Pages.putAll(Stream.empty)).toEqualTypeOf<Stream.Stream<Job.JobId, PutAll, Client>>()
  })

  it("say what becomes of each body that was not put", () => {
    expectTypeOf<BeanstalkError.PutAllStopped["failures"][0]["error"]>().toEqualTypeOf<Put>()
  })
})

describe("the types that programs name", () => {
  it("are the payload of a tube, and any tube", () => {
    expectTypeOf<Tube.Payload<typeof Pages>>().toEqualTypeOf<typeof payload.Type>()
    expectTypeOf<Tube.Payload<typeof Secrets>>().toEqualTypeOf<Page>()
    expectTypeOf<typeof Pages>().toExtend<Tube.Any>()
    expectTypeOf<typeof Secrets>().toExtend<Tube.Any>()
    expectTypeOf<{ readonly name: string }>().not.toExtend<Tube.Any>()
    expectTypeOf<Tube.Any["kick"]>().toEqualTypeOf<(typeof Pages)["kick"]>()
  })
})
