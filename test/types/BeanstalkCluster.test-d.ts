import { describe, expectTypeOf, it } from "@effect/vitest"
import { type Effect, Layer, type Option, type Stream } from "effect"
import {
  type BeanstalkClient,
  BeanstalkCluster,
  type BeanstalkError,
  type Connector,
  Tube,
  Worker
} from "effect-beanstalk"
import { NodeBeanstalk, NodeCluster } from "effect-beanstalk/node"

const Mails = Tube.text("mails")

describe("the types of a cluster", () => {
  it("make it a client, whose commands fail as those of a client", () => {
    expectTypeOf<BeanstalkCluster.Cluster>().toExtend<BeanstalkClient.Client>()
    expectTypeOf<Pick<BeanstalkCluster.Cluster, keyof BeanstalkClient.Client>>()
      .toEqualTypeOf<Pick<BeanstalkClient.Client, keyof BeanstalkClient.Client>>()
    expectTypeOf<BeanstalkCluster.Cluster["at"]>()
      .toEqualTypeOf<(server: number) => Option.Option<BeanstalkClient.Client>>()
  })

  it("let a tube and a worker run on either", () => {
    const worker = Layer.merge(Worker.layer(Mails, () => Mails.stats), Layer.effectDiscard(Mails.put("hello")))
    const one = Layer.provide(worker, NodeBeanstalk.layerClient({ url: "beanstalk://queue-1" }))
    const many = Layer.provide(worker, NodeCluster.layer({ urls: ["beanstalk://queue-1", "beanstalk://queue-2"] }))
    expectTypeOf(many).toEqualTypeOf<typeof one>()
    expectTypeOf<Layer.Layer.Context<typeof many>>().toBeNever()
  })

  it("let the list of servers be a Stream that cannot fail", () => {
    type Servers = Parameters<typeof BeanstalkCluster.make>[0]
    expectTypeOf<Stream.Stream<ReadonlyArray<BeanstalkCluster.Server>>>().toExtend<Servers>()
    expectTypeOf<Stream.Stream<ReadonlyArray<BeanstalkCluster.Server>, Error>>().not.toExtend<Servers>()
    expectTypeOf<BeanstalkCluster.Server["connector"]>()
      .toEqualTypeOf<Layer.Layer<Connector.Connector, BeanstalkError.InvalidArgument>>()
    expectTypeOf(BeanstalkCluster.make).returns.toExtend<
      Effect.Effect<BeanstalkClient.Client, BeanstalkError.InvalidArgument, unknown>
    >()
  })
})
