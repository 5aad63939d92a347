/** Runs in front of each test file. */
import { it, makeMethods } from "@effect/vitest"
import { configureGlobal } from "fast-check"
import { afterEach, inject } from "vitest"

// `layer` replaces methods of the one `it` there is: without this, files that share a thread would go on with them.
makeMethods(it)

// The seed of the run repeats a property that failed, too.
configureGlobal({ seed: inject("seed") | 0 })

// Vitest ends the whole run if a worker does not read its messages for a minute, as when many tests follow each other that never
// let the event loop turn.
afterEach(() => new Promise<void>((resolve) => void setImmediate(resolve)))
