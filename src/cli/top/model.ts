/** All that `beanstalk top` shows, and what changes it. */
import type { SearchProgress, State } from "../../BeanstalkClient.ts"
import type { JobId, TubeName } from "../../Job.ts"
import type { JobStats, ServerStats, TubeStats } from "../../Stats.ts"
import type { Size } from "../terminal/terminal.ts"
import type { Act, ActOnJobs, Target } from "./act.ts"
import type * as JobList from "./jobList.ts"
import type { Key } from "./keys.ts"
import * as List from "./list.ts"
import type { Measured } from "./measure.ts"
import type { Sample } from "./sampling.ts"
import * as TubeTable from "./tubeTable.ts"

/** What is known of the connection. */
export interface Link {
  /** When the server has answered last. */
  readonly answeredAt: number
  /** Since when there is no answer that could be used, and why. */
  readonly lost: { readonly at: number; readonly why: string } | undefined
}

/** What is typed in the last line. */
export type Prompt =
  /** Part of the names of tubes; Escape brings back what was before. */
  | { readonly _tag: "Filter"; readonly text: string; readonly before: string }
  | { readonly _tag: "PauseFor"; readonly text: string; readonly tubes: ReadonlyArray<TubeName> }
  | { readonly _tag: "MoveTo"; readonly text: string; readonly target: Target }
  /** Whether an act is to be done. */
  | { readonly _tag: "Question"; readonly text: string; readonly act: ActOnJobs; readonly askedAt: number }

/** A job, as it was read. */
export interface ReadJob {
  readonly stats: JobStats
  readonly size: number
  /** The body as lines without control characters, as far as it is shown. */
  readonly body: ReadonlyArray<string>
}

export interface TubePage {
  readonly _tag: "TubePage"
  readonly jobs: JobList.JobList
}

export interface JobPage {
  readonly _tag: "JobPage"
  readonly id: JobId
  /** The page from which one came, and to which Escape leads. */
  readonly from: TubePage
  readonly job: ReadJob | undefined
  readonly isGone: boolean
  /** The first line of the body on screen. */
  readonly offset: number
}

export type Page = { readonly _tag: "TubesPage" } | TubePage | JobPage

/** An act that is under way. */
export interface Acting {
  readonly act: Act
  /** How many jobs are done by now. */
  readonly done: number
}

export interface Model {
  readonly address: string
  readonly size: Size
  /** In milliseconds, as all times here. The clock does not go back. */
  readonly now: number
  /** How often the tubes on screen are read. */
  readonly pace: number
  /** Whether nothing is read, so that the numbers stay. */
  readonly isFrozen: boolean
  readonly link: Link
  readonly server: Measured<ServerStats> | undefined
  readonly tubes: TubeTable.TubeTable
  /** When the other tubes were listed last, and how long it was from one time to the next. */
  readonly round: { readonly at: number; readonly took: number | undefined } | undefined
  readonly page: Page
  /** How many searches for jobs were begun. */
  readonly searches: number
  readonly isHelpShown: boolean
  readonly prompt: Prompt | undefined
  readonly acting: Acting | undefined
  /** What is said in the last line until a key is pressed. */
  readonly notice: string | undefined
  readonly hasEnded: boolean
}

export type Message =
  | { readonly _tag: "Pressed"; readonly key: Key }
  | { readonly _tag: "InputEnded" }
  | { readonly _tag: "Resized"; readonly size: Size }
  | { readonly _tag: "ConnectionChanged"; readonly state: State }
  | { readonly _tag: "Second" }
  | { readonly _tag: "JobsFound"; readonly search: number; readonly jobs: ReadonlyArray<JobList.JobRow> }
  | { readonly _tag: "Searched"; readonly search: number; readonly progress: SearchProgress }
  | { readonly _tag: "SearchEnded"; readonly search: number; readonly failure: string | undefined }
  | { readonly _tag: "JobRead"; readonly id: JobId; readonly job: ReadJob }
  | { readonly _tag: "JobGone"; readonly id: JobId }
  | { readonly _tag: "Counted"; readonly act: ActOnJobs; readonly stats: ReadonlyArray<TubeStats> }
  | { readonly _tag: "Acted"; readonly done: number }
  | { readonly _tag: "ActEnded"; readonly act: Act; readonly done: number; readonly notice: string }
  | { readonly _tag: "Told"; readonly notice: string }
  | Sample

/** What is to be done, besides what is shown. */
export type Request =
  /** To do what the key does where keys are not read one by one. */
  | { readonly _tag: "Raise"; readonly signal: "SIGINT" | "SIGTSTP" }
  /** To write all of the screen again. */
  | { readonly _tag: "Redraw" }
  /** To look for jobs, in place of a search that may run. */
  | { readonly _tag: "Search"; readonly jobs: JobList.JobList }
  | { readonly _tag: "StopSearch" }
  /** To read a job, and its statistics again and again. */
  | { readonly _tag: "ReadJob"; readonly id: JobId }
  | { readonly _tag: "StopReading" }
  /** To count the jobs of an act. */
  | { readonly _tag: "Count"; readonly act: ActOnJobs; readonly tubes: ReadonlyArray<TubeName> }
  | { readonly _tag: "Act"; readonly act: Act }
  | { readonly _tag: "StopActing" }

export interface Start {
  readonly address: string
  readonly size: Size
  readonly now: number
  readonly pace: number
}

export const initial = ({ address, now, pace, size }: Start): Model =>
  resize({
    address,
    size,
    now,
    pace,
    isFrozen: false,
    link: { answeredAt: now, lost: undefined },
    server: undefined,
    tubes: TubeTable.empty,
    round: undefined,
    page: { _tag: "TubesPage" },
    searches: 0,
    isHelpShown: false,
    prompt: undefined,
    acting: undefined,
    notice: undefined,
    hasEnded: false
  }, size)

/** The lines that are no tubes: two of the server, the titles, and one for the keys. */
const linesAboutTubes = 4

/** The lines that are no jobs: as with tubes, and one of the states. */
const linesAboutJobs = 5

export const jobsHeight = ({ rows }: Size): number => Math.max(0, rows - linesAboutJobs)

export const resize = (model: Model, size: Size): Model => ({
  ...model,
  size,
  tubes: List.resize(model.tubes, Math.max(0, size.rows - linesAboutTubes)),
  page: withJobs(model.page, (jobs) => List.resize(jobs, jobsHeight(size)))
})

/** The jobs that are listed, or were before one of them was opened. */
export const jobsOf = (page: Page): JobList.JobList | undefined => {
  switch (page._tag) {
    case "TubesPage":
      return undefined
    case "TubePage":
      return page.jobs
    case "JobPage":
      return page.from.jobs
  }
}

export const withJobs = (page: Page, change: (jobs: JobList.JobList) => JobList.JobList): Page => {
  switch (page._tag) {
    case "TubesPage":
      return page
    case "TubePage":
      return { ...page, jobs: change(page.jobs) }
    case "JobPage":
      return { ...page, from: { ...page.from, jobs: change(page.from.jobs) } }
  }
}

/** A server that has not answered for so long is said to be silent. */
export const silence = ({ link: { answeredAt }, now, pace }: Model): number | undefined =>
  now - answeredAt > Math.max(3000, 2 * pace) ? now - answeredAt : undefined
