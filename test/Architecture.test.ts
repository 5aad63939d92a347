/** Holds the layers of `src/`: who may import whom, and that no modules import each other in a circle, of types neither. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join, normalize } from "node:path"

/** The layers of `src/`, from the ground up: the files of each, and the layers below that it may import. */
const layers: ReadonlyArray<readonly [name: string, files: RegExp, below: string]> = [
  ["values", /^((Job|Connector|BeanstalkError|Health|Stats)\.ts|internal\/values\/)/, ""],
  ["base", /^internal\/base\//, "values"],
  ["protocol", /^internal\/protocol\//, "values base"],
  ["BeanstalkProtocol", /^BeanstalkProtocol\.ts/, "values base protocol"],
  ["connection", /^internal\/connection\//, "values base protocol"],
  ["BeanstalkConnection", /^BeanstalkConnection\.ts/, "values base protocol BeanstalkProtocol connection"],
  ["client", /^internal\/client\//, "values base protocol connection"],
  [
    "BeanstalkClient",
    /^BeanstalkClient\.ts/,
    "values base protocol BeanstalkProtocol connection BeanstalkConnection client"
  ],
  ["queues", /^internal\/queues\//, "values base BeanstalkClient"],
  ["QueueMetrics", /^QueueMetrics\.ts/, "values base protocol BeanstalkClient queues"],
  ["cluster", /^internal\/cluster\//, "values base protocol connection client BeanstalkClient"],
  ["BeanstalkCluster", /^BeanstalkCluster\.ts/, "values client BeanstalkClient cluster"],
  ["tube", /^internal\/tube\//, "values base protocol"],
  ["Tube", /^Tube\.ts/, "values base protocol BeanstalkProtocol BeanstalkClient tube"],
  ["telemetry", /^internal\/worker\/telemetry\//, "values base"],
  [
    "worker",
    /^internal\/worker\/[^/]+$/,
    "values base protocol connection client BeanstalkClient tube Tube telemetry"
  ],
  ["broker", /^internal\/broker\//, "values base"],
  ["VirtualClock", /^VirtualClock\.ts/, "base"],
  ["embedded", /^internal\/embedded\//, "values base connection broker"],
  ["EmbeddedServer", /^EmbeddedServer\.ts/, "values base BeanstalkClient BeanstalkCluster broker embedded"],
  ["Worker", /^Worker\.ts/, "values base BeanstalkClient Tube worker telemetry"],
  [
    "testing",
    /^internal\/testing\//,
    "values base protocol BeanstalkClient Tube worker Worker VirtualClock EmbeddedServer"
  ],
  ["WorkerTest", /^WorkerTest\.ts/, "values BeanstalkClient Tube worker Worker VirtualClock EmbeddedServer testing"],
  [
    "node",
    /^node\//,
    "values base protocol connection BeanstalkConnection BeanstalkClient BeanstalkCluster broker embedded EmbeddedServer"
  ],
  [
    "cli",
    /^cli\//,
    "values BeanstalkProtocol BeanstalkConnection BeanstalkClient BeanstalkCluster queues Tube Worker EmbeddedServer node"
  ],
  [
    "index",
    /^index\.ts/,
    "values BeanstalkProtocol BeanstalkConnection BeanstalkClient BeanstalkCluster QueueMetrics Tube Worker WorkerTest EmbeddedServer VirtualClock"
  ]
]

const source = join(import.meta.dirname, "../src")

const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))

/** What each module of `src/` imports from `src/`. */
const imports = new Map(
  files.map((file) => {
    const text = readFileSync(join(source, file), "utf8")
    return [file, [...text.matchAll(/ from "(\.[^"]+)"/g)].map(([, path]) => normalize(join(file, "..", path!)))]
  })
)

const withoutComments = (text: string) => text.split("\n").filter((line) => !/^\s*(\*|\/\*|\/\/)/.test(line))

const roomOf = (file: string) => {
  const layer = layers.find(([, files]) => files.test(file))
  assert(layer !== undefined, `${file} is in no layer: put it into one, or add its layer to this table`)
  return layer
}

const arrowsUp = [...imports].flatMap(([file, targets]) => {
  const [own, , below] = roomOf(file)
  const isAllowed = (target: string) => [own, ...below.split(" ")].includes(roomOf(target)[0])
  return targets.filter((target) => !isAllowed(target)).map((target) => `${file} -> ${target}`)
})

/** Modules that are imported, in however many steps, by what they import. */
const circular = [...imports.keys()].filter((file) => {
  const seen = new Set<string>()
  const visit = (from: string): void =>
    imports.get(from)?.forEach((target) => {
      if (seen.has(target)) return
      seen.add(target)
      visit(target)
    })
  visit(file)
  return seen.has(file)
})

/** The modules that use `Effect.all` or `forEach` with concurrency, or a race. Those of the command line end with their process. */
const startingAtOnce = files.filter((file) =>
  !file.startsWith("cli/") &&
  withoutComments(readFileSync(join(source, file), "utf8")).some((line) =>
    /\{ concurrency: |\bconcurrency: "unbounded"|\bEffect\.race|\bStream\.merge/.test(line)
  )
)

describe("the modules of src/", () => {
  it("import only what is below them", () => {
    assert.deepStrictEqual(arrowsUp, [])
  })

  it("import each other in no circle", () => {
    assert.deepStrictEqual(circular, [])
  })

  it("run Effects at once with atOnce.ts: those of Effect 3 may never end if they are interrupted while they begin", () => {
    assert.deepStrictEqual(startingAtOnce, [])
  })
})
