/** The page of the command line, made from the table of commands. `npm run docs:commands` writes it; a test holds that it is up to date. */
import type { Argument } from "../src/cli/table/argument.ts"
import type { Command } from "../src/cli/table/command.ts"
import type { Flag } from "../src/cli/table/flag.ts"
import * as Globals from "../src/cli/table/globals.ts"
import { exitCodes, flagText, type Group, usage } from "../src/cli/table/help.ts"
import { flagUsage } from "../src/cli/table/parse.ts"

const introduction = `# The command line

<!-- Made from the table of commands by \`npm run docs:commands\`. -->

\`beanstalk\` looks into a beanstalkd and tidies it up. It needs no login, and no other package: \`npx effect-beanstalk stats\`, or
\`npm install --global effect-beanstalk\` for \`beanstalk stats\`.

\`\`\`text
$ beanstalk stats
beanstalkd 1.12 at 127.0.0.1:11300, up 12d 4h, accepting jobs
jobs      15,302 ready (12 urgent) · 16 reserved · 4,210 delayed · 37 buried
since up  9,812,077 jobs put · 118 timeouts          clients  41: 9 producers, 18 workers, 16 waiting
binlog    on, 3 files of 10 MiB                      largest job  65,535 bytes
\`\`\`

\`\`\`text
$ beanstalk tubes --age
TUBE            READY  RESERVED  DELAYED  BURIED  WAITING  WATCHING  NEXT AGE  PAUSED
emails         15,302        16        0      37        0        18    4m 12s  -
images.resize       0         0    4,210       0        2         2         -  -
reports             4         0        0       0        0         0    2h 01m  28m left
\`\`\`

## For every command

- **The server** is \`--url\`, else \`BEANSTALKD_URL\`, else \`127.0.0.1:11300\`: \`host:port\`, \`beanstalk://host:port\`, \`beanstalks://host:port\`
  (TLS) or \`unix:/path\`. Commands that look take several, repeated or with commas; commands that act take one.
- **Durations** are \`90\` (seconds), \`90s\`, \`5m\`, \`2h30m\` or \`7d\`; **numbers** \`1000\`, \`10k\` or \`1M\`; a **tube** may be a pattern in quotes,
  \`'images.*'\`, where several make sense. \`--\` ends the flags.
- **Data** is on standard output, everything else on standard error. A table is cut, and has colours, only in a terminal; \`NO_COLOR\`
  and \`--color never\` turn colours off. Control characters of jobs and servers are escaped in a terminal, and written as they are into
  a pipe.
- **\`--json\`** writes an object a line. Its keys are those of the protocol with \`_\` for \`-\`, ids are text, and a body is \`body\` if it is
  UTF-8, else \`body_base64\`. An error is \`{"error":{"tag":…,"message":…}}\` on standard error.
- **Before** it deletes jobs that are not named by id, and before any act on more than 1,000 jobs, it asks. Without a terminal it ends
  with 2 instead: add \`--yes\`. \`--dry-run\` counts, and changes nothing.
- **Ctrl-C** stops at the next answer, gives back what is held, and says how far it came. A second one ends it at once.

`

const escaped = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")

const table = (heads: readonly [string, string], rows: ReadonlyArray<readonly [string, string]>): string =>
  rows.length === 0
    ? ""
    : [
      `| ${heads[0]} | ${heads[1]} |`,
      "| --- | --- |",
      ...rows.map(([term, text]) => `| ${term} | ${escaped(text)} |`),
      "",
      ""
    ].join("\n")

const flagRows = (flags: Iterable<Flag<unknown>>) =>
  Array.from(flags, (flag): readonly [string, string] => [`\`${flagUsage(flag)}\``, flagText(flag)])

const argumentRows = (list: ReadonlyArray<Argument<unknown>>) =>
  list.map(({ name, summary }): readonly [string, string] => [`\`${name}\``, summary])

const codeRows = (codes: Readonly<Record<string, string>>) =>
  Object.entries(codes).map(([code, text]): readonly [string, string] => [code, text])

const commandSection = (command: Command): string =>
  [
    `### beanstalk ${command.name}\n\n${command.summary}.\n\n`,
    `\`\`\`sh\n${usage(command)}\n\`\`\`\n\n`,
    ...(command.details ?? []).map((text) => `${text.replaceAll("<", "&lt;")}\n\n`),
    table(["argument", ""], argumentRows(command.arguments)),
    table(["flag", ""], flagRows(command.flags)),
    `\`\`\`sh\n${command.examples.map(({ does, run }) => `# ${does}\nbeanstalk ${run}`).join("\n")}\n\`\`\`\n\n`,
    command.exits === undefined ? "" : table(["exit code", ""], codeRows(command.exits))
  ].join("")

/** The whole page. */
export const commandLinePage = (groups: ReadonlyArray<Group>): string =>
  [
    introduction,
    table(["exit code", "of every command, unless it says otherwise"], codeRows(exitCodes)),
    table(
      ["flag", "of every command"],
      flagRows([...Object.values(Globals.connecting), ...Object.values(Globals.general)])
    ),
    ...groups.flatMap(([title, commands]) => [`## ${title}\n\n`, ...commands.map(commandSection)])
  ].join("").trimEnd() + "\n"
