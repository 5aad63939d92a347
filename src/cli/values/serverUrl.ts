/** Where a server is: `beanstalk://host:port`, `beanstalks://host:port` (TLS), `unix:/path`, or `host:port`. */
import * as Either from "effect/Either"
import type { Value } from "./value.ts"

export const serverUrl: Value<string> = {
  metavar: "URL",
  read: (text) => {
    if (/^(beanstalks?:\/\/|unix:)./.test(text)) return Either.right(text)
    return text === "" || /[/\s]|^unix:/.test(text)
      ? Either.left(
        "is no address of a server: write host:port, beanstalk://host:port, beanstalks://host:port or unix:/path"
      )
      : Either.right(`beanstalk://${text}`)
  }
}
