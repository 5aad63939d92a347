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
  (TLS) or \`unix:/path\`. Most commands take [several](#several-servers), repeated or with commas.
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

const several = `## Several servers

With several URLs a command is for all of these servers. \`stats\`, \`tubes\` and \`doctor\` show each by itself. For the others the servers are
one, as in [a cluster](./many-servers.md):

\`\`\`sh
export BEANSTALKD_URL=10.0.0.5,10.0.0.6
beanstalk put emails --lines < jobs.jsonl                            # each job on one of them
beanstalk work emails -c 8 -- ./send-mail.sh                         # eight at a time, from both
beanstalk purge emails --state buried --limit 100                    # a hundred of both together
beanstalk jobs emails --match a@example.org --ids | beanstalk delete -
\`\`\`

- **Ids** tell the server of a job: commands take those that \`jobs\` and \`put\` print with the same URLs, in whichever order, and refuse those
  of a server alone. A program with a cluster of these URLs has the same ids.
- **A server that is down**: \`kick\`, \`bury\`, \`purge\`, \`move\`, \`export\`, \`import\`, \`pause\`, \`resume\` and \`wait\` begin only if all are there, and else
  end with 3. \`put\`, \`take\` and \`work\` say which server cannot be reached, and use the others. \`delete\` and \`kick-job\` need the servers of
  the jobs. \`stats\`, \`tubes\`, \`doctor\`, \`jobs\` and \`job\` show what the others say, and end with 3.
- **A server that is lost midway**: \`purge\` and \`move\` go on with the others, and end with 4; \`bury\`, \`kick\` and \`import\` stop. All say how many
  jobs were done. \`put\` puts the next jobs on the others. If it does not know whether a job was stored, it stops, and does not put it twice.
- **\`--json\`**: \`jobs\` and \`job\` write the \`url\` of the server of each job, and a command that acts the \`urls\` of all servers.

\`check\`, \`metrics\`, \`peek\`, \`tail\` and \`top\` are for one server, and say why when they are given several.

`

const tasks = `## Tasks

**Why is the tube \`emails\` stuck?** \`beanstalk tubes emails --age\` tells which of these it is. \`beanstalk doctor\` looks for most of them in all tubes.

| what it shows | what it means | what to do |
| --- | --- | --- |
| READY above 0, WATCHING 0 | no worker takes jobs of the tube | start one |
| PAUSED | somebody paused the tube | \`beanstalk resume emails\` |
| READY 0, BURIED above 0 | all jobs have failed for good | \`beanstalk jobs emails --state buried\`, then \`beanstalk kick emails\` |
| RESERVED above 0, and it stays so | a worker holds the jobs | \`beanstalk jobs emails --state reserved\`; \`beanstalk job ID\` says how long they may still be held |
| DELAYED above 0, READY 0 | jobs wait for their time, or for their next attempt | \`beanstalk peek emails --state delayed --json\` tells when the next one is ready |

**Run the failed jobs of one customer again:**

\`\`\`sh
beanstalk jobs emails --state buried --match '"user":42' --newer-than 2d
beanstalk kick emails --match '"user":42' --newer-than 2d
\`\`\`

**Move everything to a new server, without a stop.** Let the producers put into the new server, and start workers there, while those at
the old one go on. Then move what is left, tube by tube. Jobs that are reserved stay until their worker is done, and a job that it
releases is ready there: so run it until no tube holds a job, which \`--nonempty\` tells by ending with 1.

\`\`\`sh
while beanstalk tubes --nonempty --json > tubes.jsonl; do
  jq -r .name tubes.jsonl | while read -r tube; do
    beanstalk move "$tube" "$tube" --to-url 10.0.0.6:11300 --yes < /dev/null
  done
  sleep 1
done
\`\`\`

## Beside other tools

What they do, by their documentation and source, and the command here that does it:

| tool | it does | here |
| --- | --- | --- |
| [aurora](https://github.com/xuri/aurora), [beanstalk_console](https://github.com/ptrofimov/beanstalk_console) | list servers, tubes and their statistics, renewed every few seconds | \`stats -u A,B\`, \`tubes -u A,B\`, \`top\` |
| | show the next ready, delayed and buried job of a tube | \`peek\`, and all jobs: \`jobs\` |
| | search the bodies of a tube | \`jobs --match\` |
| | add, kick and delete jobs | \`put\`, \`kick\`, \`kick-job\`, \`delete\` |
| | clear tubes that match a pattern | \`purge 'images.*'\` |
| | move jobs to another tube; pause a tube | \`move\`, \`pause\`, \`resume\` |
| | keep sample jobs, to put them again | \`export --limit 1 -o sample.jsonl\`, \`import sample.jsonl\` |
| [beanstool](https://github.com/src-d/beanstool) | \`stats\`, \`peek\`, \`put\`, \`kick\`, \`bury\`, \`delete\` | \`tubes\`, \`peek\`, \`put\`, \`kick\`, \`bury\`, \`purge\` |
| | \`tail\`: reserve a job, print it, and release, bury or delete it | \`tail\`, which reserves nothing; \`take --follow\`, with \`--bury\` |
| [beancmd](https://github.com/EasyPost/beancmd) | \`migrate\` between servers, for which no worker may be connected; what was buried is ready then | \`move --to-url\`, while workers go on; buried jobs stay buried |
| | \`replay\` the log of a migration | \`export\`, \`import\` |
| | \`flush\`, \`bury\`, \`kick\`, \`pause\`, \`stats\`, \`stats_tubes\` | \`purge\`, \`bury\`, \`kick\`, \`pause\`, \`stats\`, \`tubes\` |
| | \`generate\` jobs for a test | \`seq 1000 \\| beanstalk put test --lines\` |
| [cmdstalk](https://github.com/99designs/cmdstalk) | run a program for each job; retry with a delay; bury at the end | \`work\`, which also touches jobs while the program runs, and lets programs end when it is stopped |
| | \`-all\`: the tubes that come later, too | not done: \`work '*'\` is for the tubes there are when it starts |

Not done: pages in a browser, users and passwords (it goes where a shell goes, and needs no port), graphs (\`metrics\` is read by Prometheus),
and highlighting of what is in a body (\`job ID --raw | jq\`).

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
    several,
    tasks,
    ...groups.flatMap(([title, commands]) => [`## ${title}\n\n`, ...commands.map(commandSection)])
  ].join("").trimEnd() + "\n"
