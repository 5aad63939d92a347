/** The flags of every command. */
import { duration } from "../values/duration.ts"
import { serverUrl } from "../values/serverUrl.ts"
import { choice } from "../values/text.ts"
import * as Flag from "./flag.ts"

/** Those of a command that is for a server. */
export const connecting = {
  url: Flag.repeated("url", serverUrl, {
    short: "u",
    env: "BEANSTALKD_URL",
    default: "127.0.0.1:11300",
    summary: "the server: host:port, beanstalk://host:port, beanstalks://host:port (TLS) or unix:/path. " +
      "Most commands take several, repeated or with commas"
  }),
  timeout: Flag.withDefault("timeout", duration, {
    default: "5s",
    summary: "how long connecting may take, in one attempt, and later each answer of the server"
  })
}

/** Those of any command. */
export const general = {
  json: Flag.on("json", { summary: "write JSON Lines, and errors as JSON" }),
  color: Flag.withDefault("color", choice("WHEN", ["auto", "never"]), {
    default: "auto",
    summary: "auto: colours in a terminal, unless NO_COLOR is set"
  }),
  verbose: Flag.times("verbose", {
    short: "v",
    summary: "log connections on standard error; twice: every command and reply, bodies as sizes"
  }),
  help: Flag.on("help", { short: "h", summary: "show how the command is used" })
}

/** Those of `beanstalk` itself. */
export const version = Flag.on("version", { summary: "show the version" })
