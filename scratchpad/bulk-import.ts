/**
 * Puts every line of a file as a job, and shows how far it is: `npx tsx scratchpad/bulk-import.ts lines.txt`.
 *
 * The file is read as there is room in the queue, so it may be larger than the memory. If it stops, it prints which lines
 * could not be put, and the line from which to continue: `npx tsx scratchpad/bulk-import.ts lines.txt 12346`.
 */
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Stream } from "effect"
import { BeanstalkClient, type BeanstalkError } from "effect-beanstalk"
import { NodeBeanstalk } from "effect-beanstalk/node"

const tube = "imported"

const progressBar = (fraction: number) => {
  const filled = Math.round(fraction * 40)
  return `[${"=".repeat(filled)}${" ".repeat(40 - filled)}] ${Math.round(fraction * 100)} %`
}

/** Only on a terminal, where each line overwrites the one before. */
const show = (line: string) =>
  Effect.sync(() => {
    if (process.stderr.isTTY) process.stderr.write(`\r${line}`)
  })

/** Prints the lines that were sent and failed. All others that were sent are in the queue. */
const report = (first: number) => ({ acknowledged, failures, sent }: BeanstalkError.PutAllStopped) =>
  Effect.zipRight(
    Effect.forEach(failures, ({ error, index }) => Console.error(`line ${first + index}: ${error.message}`)),
    Console.error(`put ${acknowledged} jobs into ${tube}; go on with line ${first + sent}`)
  )

const importLines = (path: string, first: number) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const client = yield* BeanstalkClient.BeanstalkClient
    const { size } = yield* files.stat(path)
    let read = 0

    const lines = files.stream(path).pipe(
      Stream.tap((bytes) => Effect.sync(() => read += bytes.length)),
      Stream.decodeText(),
      Stream.splitLines,
      Stream.drop(first - 1)
    )
    const put = yield* client.putAll(tube, lines).pipe(
      Stream.chunks,
      Stream.tap(() => show(progressBar(read / Number(size)))),
      Stream.runFold(0, (count, ids) => count + ids.length)
    )
    yield* Console.log(`put ${put} jobs into ${tube}`)
  }).pipe(
    Effect.tapErrorTag("PutAllStopped", report(first))
  )

const [path = "README.md", first = "1"] = process.argv.slice(2)

importLines(path, Number(first)).pipe(
  Effect.provide(NodeBeanstalk.layerClientEnv),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
