/** The table of commands. Each is loaded when it is needed, so that one does not wait for the code of the others. */
import type { Command } from "./table/command.ts"
import type { Group } from "./table/help.ts"

type Load = () => Promise<{ readonly command: Command }>

const groups: ReadonlyArray<readonly [title: string, commands: Readonly<Record<string, Load>>]> = [
  ["Look", {
    stats: () => import("./commands/stats.ts"),
    tubes: () => import("./commands/tubes.ts"),
    jobs: () => import("./commands/jobs.ts"),
    job: () => import("./commands/job.ts"),
    peek: () => import("./commands/peek.ts"),
    tail: () => import("./commands/tail.ts"),
    top: () => import("./commands/top.ts"),
    wait: () => import("./commands/wait.ts")
  }],
  ["Monitor", {
    check: () => import("./commands/check.ts"),
    doctor: () => import("./commands/doctor.ts"),
    metrics: () => import("./commands/metrics.ts")
  }],
  ["Act", {
    put: () => import("./commands/put.ts"),
    delete: () => import("./commands/delete.ts"),
    "kick-job": () => import("./commands/kickJob.ts"),
    kick: () => import("./commands/kick.ts"),
    bury: () => import("./commands/bury.ts"),
    purge: () => import("./commands/purge.ts"),
    move: () => import("./commands/move.ts"),
    export: () => import("./commands/export.ts"),
    import: () => import("./commands/import.ts"),
    pause: () => import("./commands/pause.ts"),
    resume: () => import("./commands/resume.ts")
  }],
  ["Work", {
    take: () => import("./commands/take.ts"),
    work: () => import("./commands/work.ts")
  }],
  ["Help", {
    serve: () => import("./commands/serve.ts"),
    completions: () => import("./commands/completions.ts")
  }]
]

const loaders = new Map(groups.flatMap(([, commands]) => Object.entries(commands)))

export const names: ReadonlyArray<string> = [...loaders.keys()]

/** The command of a name, if there is one. */
export const load = async (name: string): Promise<Command | undefined> => (await loaders.get(name)?.())?.command

/** All commands, in groups. */
export const loadAll = (): Promise<ReadonlyArray<Group>> =>
  Promise.all(groups.map(async ([title, commands]): Promise<Group> => [
    title,
    await Promise.all(Object.values(commands).map(async (load) => (await load()).command))
  ]))
