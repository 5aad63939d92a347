/**
 * Runs the contract ring and the tests of workers on the oldest and on the newest versions of the peers, each in a copy of the project
 * with an installation of its own. Names of sets as arguments run only those: `npm run test:peers -- oldest`.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

/** Other versions of what the project is developed with. The oldest are the least that `peerDependencies` accept. */
const sets: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  oldest: {
    "@effect/cluster": "0.56.0",
    "@effect/experimental": "0.58.0",
    "@effect/opentelemetry": "0.60.0",
    "@effect/platform": "0.94.0",
    "@effect/platform-node": "0.104.0",
    "@effect/platform-node-shared": "0.57.0",
    "@effect/rpc": "0.73.0",
    "@effect/sql": "0.49.0",
    "@effect/vitest": "0.27.0",
    "@effect/workflow": "0.16.0",
    effect: "3.19.13"
  },
  newest: {
    "@effect/platform": "<1",
    "@effect/platform-node": "<1",
    "@effect/platform-node-shared": "<1",
    "@effect/vitest": "<1",
    effect: "^3"
  }
}

const copied = ["package.json", "tsconfig.base.json", "tsconfig.json", "vitest.config.ts", "scratchpad", "src", "test"]

const rings = ["test/contract", "test/embedded/Worker", "test/scripted/Worker", "test/unit/retryDelay"]

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>
}

const run = (folder: string, command: string, ...args: ReadonlyArray<string>): void => {
  const { status } = spawnSync(command, args, { cwd: folder, stdio: "inherit" })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed in ${folder}`)
}

const testOn = (name: string, versions: Readonly<Record<string, string>>): void => {
  const folder = mkdtempSync(join(tmpdir(), `effect-beanstalk-${name}-peers-`))
  for (const path of copied) cpSync(join(root, path), join(folder, path), { recursive: true })
  const manifest: Manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const devDependencies = { ...manifest.devDependencies, ...versions }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...manifest, devDependencies }))
  run(folder, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
  run(folder, "npm", "ls", "--depth=0", ...Object.keys(versions))
  run(folder, "npx", "vitest", "run", ...rings)
  rmSync(folder, { recursive: true })
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(sets)
for (const name of names) {
  const versions = sets[name]
  if (versions === undefined) {
    throw new Error(`there is no set ${name}, but there are ${Object.keys(sets).join(" and ")}`)
  }
  testOn(name, versions)
}
