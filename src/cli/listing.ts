/** Lists of jobs, as `beanstalk jobs` and `beanstalk tail` write them. */
import * as Effect from "effect/Effect"
import type { ListedJob } from "../BeanstalkClient.ts"
import { bodyPreview } from "./body.ts"
import { bodyRecord, statsRecord } from "./record.ts"
import type { Server } from "./server/server.ts"
import { Output } from "./terminal/output.ts"
import { type Column, numeric } from "./terminal/table.ts"
import { thousands, timeSpan } from "./terminal/text.ts"

interface Row {
  readonly server: Server
  readonly job: ListedJob
}

export interface Layout {
  readonly idsOnly: boolean
  readonly noBody: boolean
  readonly isOne: boolean
  readonly isOneTube: boolean
}

/** Writes jobs of a server, as they come: a table, records, or their ids. */
export const writer = ({ idsOnly, isOne, isOneTube, noBody }: Layout) =>
  Effect.map(Output, (output) => {
    const table = output.tableParts(columns(output, { isOne, isOneTube, noBody }))
    return (server: Server) => (jobs: ReadonlyArray<ListedJob>) => {
      if (output.json) {
        const where = isOne ? {} : { url: server.url }
        return output.records(jobs.map(({ body, stats }) =>
          idsOnly
            ? { ...where, id: stats.id }
            : { ...where, ...statsRecord(stats), ...body === undefined || noBody ? {} : bodyRecord(body) }
        ))
      }
      return idsOnly
        ? output.lines(...jobs.map(({ stats }) => stats.id))
        : table(jobs.map((job): Row => ({ server, job })))
    }
  })

const columns = (
  output: Output["Type"],
  { isOne, isOneTube, noBody }: Omit<Layout, "idsOnly">
): ReadonlyArray<Column<Row>> => [
  ...isOne ? [] : [{ title: "SERVER", cell: ({ server }: Row) => server.address }],
  { title: "ID", atLeast: 4, cell: ({ job }) => job.stats.id },
  ...isOneTube
    ? []
    : [{ title: "TUBE", atLeast: 14, cell: ({ job }: Row) => output.printable(job.stats.tube), isFlexible: true }],
  {
    title: "STATE",
    atLeast: 8,
    cell: ({ job }) => job.stats.state,
    style: (text, { job }) => job.stats.state === "buried" ? output.style.red(text) : text
  },
  numeric("PRI", ({ job }) => String(job.stats.pri), 4),
  numeric("AGE", ({ job }) => timeSpan(job.stats.age), 7),
  numeric("TTR", ({ job }) => timeSpan(job.stats.ttr), 4),
  numeric("RESERVES", ({ job }) => thousands(job.stats.reserves)),
  numeric("RELEASES", ({ job }) => thousands(job.stats.releases)),
  ...noBody ? [] : [
    numeric("SIZE", ({ job }: Row) => thousands(job.body?.length ?? 0), 5),
    {
      title: "BODY",
      cell: ({ job: { body } }: Row) => body === undefined ? "" : bodyPreview(body, output),
      isFlexible: true
    }
  ]
]
