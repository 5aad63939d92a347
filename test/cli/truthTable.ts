/**
 * What each command line does: its exit code, what it writes, and what is left on the server.
 *
 * Each row begins with the same jobs: of tube `emails` 1, ready, 2, delayed, and 3, buried, whose bodies are `{"to":"a"}` to
 * `{"to":"c"}`; and 4 of tube `images.resize`, ready, whose body has an escape sequence of terminals.
 */

export interface Row {
  readonly run: string
  readonly code: number
  /** Of standard output in a pipe. Default: it is empty. */
  readonly out?: RegExp
  /** Of standard error. */
  readonly err?: RegExp
  readonly stdin?: string
  /** How many jobs are ready, delayed and buried afterwards. Default: as before. */
  readonly left?: string
  /** Interrupts the command once standard output is so. The code is not told then. */
  readonly interruptAt?: RegExp
}

const escape = "\u001b"

const line = (tube: string, ready: number, delayed: number, buried: number) =>
  `${tube} +${ready} +0 +${delayed} +${buried} +0 +\\d +-\n`

const lines = (...lines: ReadonlyArray<string>) => new RegExp(`^${lines.join("")}$`)

const heading = "TUBE +READY +RESERVED +DELAYED +BURIED +WAITING +WATCHING +PAUSED\n"

const summary = (text: string) => new RegExp(`^${text} in [\\d.]+ m?s\\.\n$`)

const ids = (...ids: ReadonlyArray<number>) => new RegExp(`^${ids.map((id) => `${id}\n`).join("")}$`)

export const rows: Readonly<Record<string, ReadonlyArray<Row>>> = {
  stats: [
    {
      run: "stats",
      code: 0,
      out: /^beanstalkd 1\.1\d at .*\njobs +2 ready \(1 urgent\) · 0 reserved · 1 delayed · 1 buried\n/
    },
    { run: "stats --timeout 2s --color never", code: 0, out: /^beanstalkd/ },
    { run: "stats -u unix:", code: 2, err: /--url: "unix:" is no address of a server/ },
    { run: "stats -u unix:/no/such/socket", code: 3, err: /there is no such socket/ },
    {
      run: "stats extra",
      code: 2,
      err: /^beanstalk: "extra" is one argument too many\. See: beanstalk stats --help\n$/
    },
    { run: "stats --jsn", code: 2, err: /unknown option '--jsn'\. Did you mean --json\?/ },
    { run: "stats --timeout never", code: 2, err: /--timeout: "never" is no duration/ },
    { run: "stats --color pink", code: 2, err: /--color: "pink" is none of auto, never/ },
    { run: "stats --help", code: 0, out: /^Show the state of the server on one screen\.\n/ },
    { run: "-v stats", code: 0, out: /^beanstalkd/, err: /Connected to beanstalkd|^$/ },
    {
      run: "sttas",
      code: 2,
      err: /^beanstalk: there is no command "sttas"\. Did you mean stats\? See: beanstalk --help\n$/
    }
  ],
  tubes: [
    {
      run: "tubes",
      code: 0,
      out: lines(heading, line("default", 0, 0, 0), line("emails", 1, 1, 1), line("images.resize", 1, 0, 0))
    },
    { run: "tubes --nonempty --sort ready", code: 0, out: /^.*\nemails.*\nimages\.resize.*\n$/ },
    { run: "tubes 'images.*' --age", code: 0, out: /NEXT AGE.*\nimages\.resize .* \ds +-\n$/ },
    { run: "tubes default --nonempty", code: 1, err: /^beanstalk: none of these tubes on .* holds a job\.\n$/ },
    { run: "tubes emials", code: 1, err: /^beanstalk: there is no tube emials on .*\. Did you mean emails\?\n$/ },
    { run: "tubes 'x*'", code: 1, err: /no tube on .* matches x\*\.\n$/ },
    { run: "tubes --sort size", code: 2, err: /is none of name, ready/ }
  ],
  top: [
    {
      run: "top --once --every 100ms",
      code: 0,
      out:
        /^TUBE +READY +RESERVED +DELAYED +BURIED +IN\/s +OUT\/s +WAITING +WORKERS\nemails +1 +0 +1 +1 +0\.0 +0\.0 +0 +0\nimages.*\ndefault /
    },
    { run: "top 'im*' -d 100ms", code: 0, out: /^TUBE .*\nimages\.resize .*\n$/ },
    { run: "top emails --once -d 200ms --color never", code: 0, out: /\nemails .*\n$/ },
    { run: "top emials", code: 1, err: /there is no tube emials on .*\. Did you mean emails\?\n$/ },
    { run: "top -d 99ms", code: 2, err: /--every: give at least 100ms\. See: beanstalk top --help\n$/ },
    { run: "top -d often", code: 2, err: /--every: "often" is no duration/ },
    { run: "top -u 127.0.0.1:1", code: 3, err: /connection refused/ },
    {
      run: "top -u 127.0.0.1:1,127.0.0.1:2",
      code: 2,
      err: /^beanstalk: it is for one server, but 2 are given: its screen is that of one server\. See: /
    }
  ],
  job: [
    { run: "job 1", code: 0, out: /^job 1 of emails: ready\npriority {2}10 .*\n.*\n\n\{"to":"a"\}\n$/ },
    { run: "job 1 --raw", code: 0, out: /^\{"to":"a"\}$/ },
    { run: "job 1 --raw --decode json", code: 0, out: /^\{\n {2}"to": "a"\n\}$/ },
    { run: "job 1 --decode gzip", code: 4, err: /the body of job 1 cannot be decoded: it is not gzip/ },
    { run: "job 4 --raw", code: 0, out: new RegExp(`^${escape}\\[31mred$`) },
    { run: "job 3 99", code: 0, out: /^job 3 of emails: buried\n/, err: /99/ },
    { run: "job 98 99", code: 1, err: /none of these 2 jobs is on / },
    { run: "job x", code: 2, err: /ID: "x" is no id of a job/ }
  ],
  peek: [
    { run: "peek emails", code: 0, out: /^\{"to":"a"\}$/ },
    { run: "peek emails --state buried", code: 0, out: /^\{"to":"c"\}$/ },
    { run: "peek emails --state delayed", code: 0, out: /^\{"to":"b"\}$/ },
    { run: "peek images.resize", code: 0, out: new RegExp(`^${escape}\\[31mred$`) },
    { run: "peek nothing", code: 1, err: /no job of tube nothing on .* is ready\.\n$/ }
  ],
  wait: [
    { run: "wait nothing", code: 0 },
    { run: "wait emails --for 1ms", code: 1, err: /emails still has 1 ready, 0 reserved and 1 delayed jobs\.\n$/ },
    { run: "wait --job 99", code: 0 },
    { run: "wait --job 3", code: 1, err: /job 3 is buried\.\n$/ },
    { run: "wait", code: 2, err: /give either TUBE or --job/ }
  ],
  check: [
    { run: "check", code: 0, out: /^BEANSTALKD OK - beanstalkd 1\.\d+ at .*|^\{"status":"OK"/ },
    {
      run: "check emails --ready 0:1 --delayed 1:1 --buried :0 --age 1h:2h",
      code: 2,
      out:
        /^BEANSTALKD CRITICAL - emails: 1 buried \(> 0\); 1 ready \(> 0\) \| .*emails_delayed=1;1;1 emails_buried=1;;0 rtt=[\d.]+ms\n$/
    },
    {
      run: "check 'im*' --min-workers 1:",
      code: 1,
      out: /^BEANSTALKD WARNING - images\.resize: 0 workers \(< 1\) \| /
    },
    {
      run: "check --ready 1:5 --rtt 1h:2h --draining --timeout 2s",
      code: 0,
      out: /OK - .*; 3 tubes checked \| default_ready=0;1;5 /
    },
    { run: "check nothing --ready 1:5", code: 0, out: /1 tube checked, of which nothing does not exist/ },
    { run: "check --format json", code: 0, out: /^\{"status":"OK",/ },
    { run: "check emails --buried 0:5 --format prometheus", code: 1, out: /^beanstalkd_check_status 1$/m },
    {
      run: "check -u 127.0.0.1:1",
      code: 2,
      out: /^BEANSTALKD CRITICAL - cannot reach beanstalkd at 127\.0\.0\.1:1: connection refused\..*\n$/
    },
    { run: "check emails", code: 3, out: /^BEANSTALKD UNKNOWN - say what is to be checked of the tubes.*\n$/ },
    {
      run: "check --redy 1:2",
      code: 3,
      out: /^BEANSTALKD UNKNOWN - unknown option '--redy'\. Did you mean --ready\?\n$/
    },
    { run: "check --ready 5:1", code: 3, out: /UNKNOWN - --ready: "5:1" is in the wrong order/ },
    { run: "check --ready 5", code: 3, out: /UNKNOWN - --ready: "5" is no pair of thresholds/ },
    { run: "check --buried 0", code: 3, out: /write WARNING:CRITICAL, .* as in 10: for a warning above 10\.\n$/ }
  ],
  doctor: [
    {
      run: "doctor",
      code: 1,
      out: /^critical {2}2 ready jobs in tubes that no worker watches: 1 in .*\n.*\nwarning {3}1 buried job, .*\n/
    },
    { run: "doctor --deep -v", code: 1, out: /^ok {8}No reservation is past its time\.$/m },
    { run: "doctor -u 127.0.0.1:1", code: 3, err: /connection refused/ },
    { run: "doctor 'im*'", code: 1, out: /^critical {2}1 ready job in tubes that no worker watches(?![^]*buried)/ },
    { run: "doctor emials", code: 1, err: /there is no tube emials on .*\. Did you mean emails\?\n$/ }
  ],
  metrics: [
    {
      run: "metrics",
      code: 0,
      out: /^# HELP beanstalkd_up (.*\n)+beanstalkd_tube_jobs\{tube="emails",state="buried"\} 1\n/
    },
    { run: "metrics --no-tubes", code: 0, out: /^(?![^]*tube=)[^]*beanstalkd_jobs\{state="ready"\} 2\n/ },
    {
      run: "metrics --tubes 'em*,im*' --max-tubes 5 --relabel s/.*/all/",
      code: 0,
      out: /^beanstalkd_tube_jobs\{tube="all",state="ready"\} 2$/m
    },
    { run: "metrics --listen 0", code: 0, interruptAt: /\/metrics\.\n|"url":"http/ },
    { run: "metrics --listen 127.0.0.1:x", code: 2, err: /is no address to listen on/ },
    { run: "metrics --relabel s/(/x/", code: 2, err: /--relabel: "s\/\(\/x\/" is no rule: Invalid regular/ },
    { run: "metrics -u 127.0.0.1:1", code: 3, out: /^beanstalkd_up 0$/m, err: /connection refused/ }
  ],
  put: [
    { run: "put emails hello", code: 0, out: ids(5), left: "3 1 1" },
    { run: "put emails hello --delay 1h --ttr 5m -p 7", code: 0, out: ids(5), left: "2 2 1" },
    { run: "put new", stdin: "all\r\nof it", code: 0, out: ids(5), left: "3 1 1" },
    { run: "put new --lines --skip 1", stdin: "a\nb\nc\n", code: 0, out: ids(5, 6), left: "4 1 1" },
    { run: "put new --lines -q", stdin: "a\nb", code: 0, left: "4 1 1" },
    { run: "put new --file package.json", code: 0, out: ids(5), left: "3 1 1" },
    { run: "put new --file /no/such/file", code: 2, err: /\/no\/such\/file cannot be read: no such file/ },
    { run: "put emails --urgent", code: 2, err: /unknown option '--urgent'/ },
    { run: "put emails --u", code: 2, err: /unknown option '--u'/ },
    { run: "put emails --urgent=", code: 2, err: /unknown option/ },
    { run: "put emails -- --urgent", code: 0, out: ids(5), left: "3 1 1" },
    { run: "put emails -", stdin: "x".repeat(65_536), code: 5, err: /JOB_TOO_BIG/ },
    { run: "put emails - --lines", stdin: "a\nb\n", code: 0, out: ids(5, 6), left: "4 1 1" },
    { run: "put emails -5", code: 2, err: /unknown option '-5'/ },
    { run: "put emails -9", code: 2, err: /unknown option '-9'/ },
    { run: "put emails -- -5", code: 0, out: ids(5), left: "3 1 1" },
    {
      run: "put emails",
      stdin: "x".repeat(65_536),
      code: 5,
      err: /JOB_TOO_BIG: the body has more than the 65,535 bytes/
    },
    { run: "put emails hello -p 4294967296", code: 2, err: /is no priority/ },
    { run: "put emails hello --delay soon", code: 2, err: /--delay: "soon" is no duration/ },
    { run: "put 'bad name' hello", code: 2, err: /TUBE: "bad name" is no name of a tube/ },
    { run: "put emails hello more", code: 2, err: /"more" is one argument too many/ },
    { run: "put", code: 2, err: /TUBE is missing/ },
    { run: `put big ${"x".repeat(65_536)}`, code: 5, err: /larger than beanstalkd/ },
    { run: "put emails hello -u 127.0.0.1:1,127.0.0.1:1", code: 2, err: /--url: 127\.0\.0\.1:1 is given twice\./ }
  ],
  delete: [
    { run: "delete 1 3", code: 0, out: /^2 jobs deleted\.\n$/, left: "1 1 0" },
    { run: "delete - --yes", stdin: "1\n\n99\n", code: 0, out: /^1 job deleted\. 1 was not there\.\n$/, left: "1 1 1" },
    { run: "delete 1 - 1", stdin: "3\n1\n3\n", code: 0, out: /^2 jobs deleted\.\n$/, left: "1 1 0" },
    { run: "delete 1 1 --dry-run", code: 0, out: /^1 job would be deleted\.\n$/ },
    { run: "delete 1 --dry-run", code: 0, out: /^1 job would be deleted\.\n$/ },
    { run: "delete 99 --dry-run", code: 1, err: /there is no such job on / },
    { run: "delete 99", code: 1, err: /there is no such job on / },
    { run: "delete 18446744073709551616", code: 2, err: /is no id of a job: the largest is 18446744073709551615/ },
    { run: "delete", code: 2, err: /ID is missing/ }
  ],
  "kick-job": [
    { run: "kick-job 2 3", code: 0, out: /^2 jobs kicked\.\n$/, left: "4 0 0" },
    { run: "kick-job 1", code: 1, err: /there is no such job on / },
    { run: "kick-job - -y", stdin: "3", code: 0, out: /^1 job kicked\.\n$/, left: "3 1 0" },
    { run: "kick-job 3 -n", code: 0, out: /^1 job would be kicked\.\n$/ },
    { run: "kick-job 1 2 -n", code: 0, out: /^1 job would be kicked\. 1 was not there\.\n$/ }
  ],
  pause: [
    { run: "pause 'em*' 5m", code: 0, out: /^emails: paused for 5m; no worker waits for its jobs\.\n$/ },
    { run: "pause emails", code: 2, err: /DURATION is missing/ },
    { run: "pause emials 5m", code: 1, err: /Did you mean emails/ }
  ],
  resume: [
    { run: "resume emails", code: 0, out: /^emails: resumed; no worker waits for its jobs\.\n$/ },
    { run: "resume nothing", code: 1, err: /there is no tube nothing/ }
  ],
  take: [
    { run: "take emails", code: 0, out: /^\{"to":"a"\}\n$/, left: "1 1 1" },
    {
      run: "take emails images.resize --count 5",
      code: 0,
      out: new RegExp(`^${escape}\\[31mred\n|\\{"to"`),
      left: "0 1 1"
    },
    { run: "take 'e*' --all -0", code: 0, out: /^\{"to":"a"\}\0$/, left: "1 1 1" },
    { run: "take emails --bury", code: 0, out: /^\{"to":"a"\}\n$/, left: "1 1 2" },
    { run: "take emails --follow", code: 0, interruptAt: /to/, left: "1 1 1" },
    { run: "take nothing", code: 1, err: /no job of nothing on .* is ready\.\n$/ },
    { run: "take emails --all --follow", code: 2, err: /exclude each other/ }
  ],
  work: [
    {
      run: "work emails -c 2 --retries 0 --drain 1s --kill-after 1s -- no-such-program",
      code: 2,
      err: /there is no program/
    },
    { run: "work emails", code: 2, err: /-- CMD is missing/ },
    { run: "work emails -c 0 -- true", code: 2, err: /--concurrency: "0" is 0: give at least 1/ }
  ],
  serve: [
    { run: "serve -l 127.0.0.1 -p 0 -z 10 -V", code: 0, interruptAt: /listens at|"url"/ },
    { run: "serve -p 65536", code: 2, err: /is no port/ },
    { run: "serve -u 127.0.0.1:11300", code: 2, err: /unknown option '-u'/ }
  ],
  completions: [
    { run: "completions bash", code: 0, out: /^_beanstalk\(\) \{/ },
    { run: "completions csh", code: 2, err: /is none of bash, zsh, fish/ }
  ],
  jobs: [
    { run: "jobs", code: 0, out: /^ID +TUBE +STATE.*\n4 .*\n3 .*\n2 .*\n1 .*\n$/, err: /4 of 4 jobs|All|found|^$/ },
    { run: "jobs emails --state buried,delayed --ids", code: 0, out: ids(3, 2) },
    { run: `jobs --match '"to":"[ab]"' --limit 1 --ids`, code: 0, out: ids(2) },
    { run: "jobs --older-than 1h", code: 1 },
    { run: "jobs --newer-than 1h --ids", code: 0, out: ids(4, 3, 2, 1) },
    { run: "jobs --ids-from - --ids", stdin: "1\n99\n01\n1\n", code: 0, out: ids(1) },
    { run: "jobs --to 4 --reach 100 --full-speed --no-body", code: 0, out: /^ID(?!.*BODY).*\n4 / },
    { run: "jobs --match (", code: 2, err: /is no regular expression/ }
  ],
  kick: [
    {
      run: "kick emails",
      code: 0,
      out: summary("emails: 1 buried job kicked"),
      err: /^No worker watches emails\. The jobs stay there until one does\.\n$/,
      left: "3 1 0"
    },
    { run: "kick emails --state delayed --yes", code: 0, out: summary("emails: 1 delayed job kicked"), left: "3 0 1" },
    { run: "kick emails --limit 1 --dry-run", code: 0, out: /1 buried job would be kicked/ },
    {
      run: `kick emails --match c --older-than 0 --newer-than 1d --reach 10 --to 4 --full-speed`,
      code: 0,
      out: /kicked/,
      left: "3 1 0"
    },
    { run: "kick emails --ids-from -", stdin: "3\n", code: 0, out: /kicked/, left: "3 1 0" },
    { run: "kick images.resize", code: 1 }
  ],
  bury: [
    { run: "bury emails", code: 0, out: summary("emails: 1 ready job buried"), left: "1 1 2" },
    { run: "bury emails --state delayed --yes", code: 0, out: summary("emails: 1 delayed job buried"), left: "2 0 2" },
    { run: "bury emails --limit 1 --dry-run", code: 0, out: /1 ready job would be buried/ },
    {
      run: "bury emails --match a --older-than 0 --newer-than 1d --reach 10 --to 4 --full-speed",
      code: 0,
      out: /buried/,
      left: "1 1 2"
    },
    { run: "bury emails --ids-from -", stdin: "1\n", code: 0, out: /buried/, left: "1 1 2" },
    { run: "bury nothing", code: 1, err: /there is no tube nothing/ }
  ],
  purge: [
    { run: "purge emails", code: 2, err: /add --yes/ },
    {
      run: "purge emails --yes",
      code: 0,
      out: /^emails: 1 ready, 1 delayed and 1 buried jobs deleted in /,
      left: "1 0 0"
    },
    { run: "purge emails --state buried -y", code: 0, out: summary("emails: 1 buried job deleted"), left: "2 1 0" },
    { run: "purge emails --dry-run --limit 2", code: 0, out: /would be deleted/ },
    {
      run: `purge emails -y --match '"b"' --older-than 0 --newer-than 1d --reach 10 --to 4 --full-speed`,
      code: 0,
      out: /deleted/,
      left: "2 0 1"
    },
    { run: "purge emails -y --ids-from -", stdin: "1\n1\n", code: 0, out: /: 1 ready job deleted/, left: "1 1 1" },
    { run: "purge nothing -y", code: 1, err: /there is no tube nothing/ }
  ],
  move: [
    { run: "move emails", code: 2, err: /TO is missing: name the tube, or with --to-url another server/ },
    { run: "move emails --to-url 127.0.0.1:1", code: 3, err: /cannot reach beanstalkd at 127\.0\.0\.1:1/ },
    { run: "move emails other", code: 0, out: /1 ready, 1 delayed and 1 buried jobs moved/, left: "2 1 1" },
    { run: "move emails other --state buried --limit 1 --yes", code: 0, out: /moved/ },
    { run: "move emails other --dry-run", code: 0, out: /would be moved/ },
    {
      run: `move emails other --match '"b"' --older-than 0 --newer-than 1d --reach 10 --to 4 --full-speed`,
      code: 0,
      out: /1 delayed job moved/
    },
    { run: "move emails other --ids-from -", stdin: "1\n", code: 0, out: /1 ready job moved/ },
    { run: "move emails emails --to-url 127.0.0.1:1", code: 3, err: /cannot reach beanstalkd at 127\.0\.0\.1:1/ },
    { run: "move emails emails", code: 2, err: /emails/ }
  ],
  export: [
    { run: "export emails", code: 0, out: /^\{"id":"1".*"body":.*\n\{"id":"2".*\n\{"id":"3".*\n$/ },
    { run: "export --state buried --limit 1 -o /dev/null", code: 0 },
    { run: "export --match a --older-than 0 --newer-than 1d --reach 10 --to 4 --full-speed", code: 0, out: /^\{/ },
    { run: "export --ids-from -", stdin: "2\n", code: 0, out: /^\{"id":"2"/ },
    { run: "export nothing", code: 1, err: /there is no tube nothing/ }
  ],
  import: [
    { run: "import", stdin: `{"tube":"new","body":"x"}\n`, code: 0, left: "3 1 1", out: /.*/ },
    {
      run: "import - --tube other --skip 1",
      stdin: `x\n{"tube":"new","body":"x"}\n`,
      code: 0,
      left: "3 1 1",
      out: /.*/
    },
    { run: "import -n", stdin: `{"tube":"new","body":"x"}\n`, code: 0, out: /^new: 1 ready job would be put\.\n$/ },
    { run: "import --dry-run", stdin: "{}\n", code: 2, err: /line 1/ },
    {
      run: "import",
      stdin: `{"tube":"new","body":"x"}\n`.repeat(1001),
      code: 2,
      err: /Put more than 1,000 jobs on .* add --yes/
    },
    {
      run: "import --tube many --yes",
      stdin: `{"tube":"new","body":"x"}\n`.repeat(1001),
      code: 0,
      left: "1003 1 1",
      out: /^many: 1,001 ready jobs put in /
    },
    { run: "import", code: 1, err: /there are no jobs to put\.\n$/ },
    { run: "import", stdin: "nonsense\n", code: 2, err: /line 1/ }
  ],
  tail: [
    { run: "tail emails --to 4 --no-body", code: 0, interruptAt: /^/ },
    { run: "tail", code: 2, err: /TUBE is missing/ }
  ]
}
