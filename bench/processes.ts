import type { ChildProcess } from "node:child_process"

const children = new Set<ChildProcess>()

/** Kills a child process when this process exits, for whatever reason. */
export const killOnExit = (child: ChildProcess): void => {
  children.add(child)
  child.once("exit", () => children.delete(child))
}

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})

process.once("SIGINT", () => process.exit(130))
process.once("SIGTERM", () => process.exit(143))
