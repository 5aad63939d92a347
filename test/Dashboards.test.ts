/** Holds the dashboards and the alert rules: each metric that they name is one that a program has. */
import { assert, describe, it } from "@effect/vitest"
import { BeanstalkClient, EmbeddedServer, QueueMetrics, Tube, VirtualClock, Worker } from "effect-beanstalk"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import { readdirSync, readFileSync } from "node:fs"

const folder = new URL("../docs/grafana/", import.meta.url)

const files = readdirSync(folder).map((name) => ({ name, text: readFileSync(new URL(name, folder), "utf8") }))

/** What the programs of this library count, in a run in which everything happens that is counted. */
const run = Effect.gen(function*() {
  const server = yield* EmbeddedServer.EmbeddedServer
  const client = yield* BeanstalkClient.BeanstalkClient
  const mails = Tube.text("mails", { ttr: "3 seconds" })
  const done = yield* Deferred.make<void>()
  yield* mails.put("hello")
  yield* Worker.make(
    mails,
    (mail) => mail === "fail" ? new Failure() : Deferred.await(done),
    { metrics: true }
  )
  yield* QueueMetrics.make({ tubes: ["*"], age: true })
  yield* Effect.sleep("10 seconds")
  yield* Deferred.succeed(done, undefined)
  yield* mails.put("fail")
  yield* Effect.sleep("1 second")
  yield* server.inject(EmbeddedServer.Fault.Cut())
  yield* Effect.sleep("5 seconds")
  yield* client.ready
}).pipe(
  Effect.scoped,
  Effect.provide(BeanstalkClient.layer({ metrics: true })),
  Effect.provide(EmbeddedServer.layer()),
  Effect.provide(VirtualClock.layer())
)

class Failure extends Data.TaggedError("Failure")<{}> {}

/** Names as OpenTelemetry's exporter for Prometheus writes them. */
const inPrometheus = (name: string) => name.replaceAll(".", "_")

const emitted = Effect.map(Metric.snapshot, (pairs) => {
  const metrics = pairs.flatMap(({ metricKey, metricState }) => {
    const name = inPrometheus(metricKey.name)
    if (MetricState.isHistogramState(metricState)) return [`${name}_bucket`, `${name}_sum`, `${name}_count`]
    return MetricState.isCounterState(metricState) ? [`${name}_total`] : [name]
  })
  const labels = pairs.flatMap(({ metricKey }) => metricKey.tags.map(({ key }) => inPrometheus(key)))
  return { metrics: new Set(metrics), labels: new Set(labels) }
})

/** What is in braces or behind `by` and `on` are labels, and what is in quotes is text. */
const withoutLabels = (text: string) => text.replaceAll(/\\?"[^"]*"|\{[^{}]*\}|\b(by|on)\s*\([^)]*\)/g, " ")

const named = (text: string) => text.match(/\b(beanstalk|messaging)_[a-z_]+/g) ?? []

/** The queries of a dashboard, or of a file of rules. */
const expressionsOf = ({ name, text }: { readonly name: string; readonly text: string }): ReadonlyArray<string> =>
  name.endsWith(".json")
    ? [...text.matchAll(/"(?:expr|query)": "((?:[^"\\]|\\.)*)"/g)].map(([, expression = ""]) =>
      expression.replaceAll("\\\"", "\"")
    )
    : text.split(/^ +- alert: .*$/m).slice(1).map((rule) => /expr:([^]*?)\n +(?:for|labels):/.exec(rule)?.[1] ?? "")

describe("the dashboards and alert rules", () => {
  it.effect("name metrics and labels that programs have, in each query", () =>
    Effect.gen(function*() {
      yield* run
      const { labels, metrics } = yield* emitted
      for (const file of files) {
        const expressions = expressionsOf(file).filter((expression) => expression !== "prometheus")
        assert.isAtLeast(expressions.length, 7, file.name)
        for (const expression of expressions) {
          const metricsOf = named(withoutLabels(expression)).filter((name) => !labels.has(name))
          assert.isNotEmpty(metricsOf, `${file.name}: ${expression}`)
          assert.deepStrictEqual(metricsOf.filter((name) => !metrics.has(name)), [], `${file.name}: ${expression}`)
          assert.deepStrictEqual(named(expression).filter((name) => !metrics.has(name) && !labels.has(name)), [])
        }
      }
    }))

  it.effect("show all metrics of the library", () =>
    Effect.gen(function*() {
      yield* run
      const { metrics } = yield* emitted
      const shown = new Set(files.flatMap(({ text }) => named(text)))
      const own = [...metrics].filter((name) => /^(beanstalk|messaging)_/.test(name) && !/_(sum|count)$/.test(name))
      assert.deepStrictEqual(own.filter((name) => !shown.has(name)), [])
    }))
})
