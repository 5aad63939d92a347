/** Random scripts, valid and hostile. Each step depends on the seed and the state of the script only. */
import { jobMark, type ScriptState, type Step } from "./differentialScript.ts"
import type { Random } from "./random.ts"

export interface GeneratorOptions {
  readonly random: Random
  /** The number of steps. */
  readonly length: number
  readonly maxJobSize: number
  /** Whether drain mode begins at some step. */
  readonly drains?: boolean | undefined
}

const tubes = ["default", "a", "b", "c", "d", "e", "-f".slice(1), "x".repeat(200), "+/;.$_()-"]

const badTubes = ["", "-a", "a b", " a", "a ", "a*", "x".repeat(201), "a\0b", "\xe4", "a\tb"]

const priorities = [0, 0, 1, 1, 2, 1023, 1024, 4294967295]

/** In seconds. They are few, so that they often coincide. */
const shortTimes = [1, 2, 3, 5, 10, 20]

const oddNumbers = [
  "",
  "-1",
  "+1",
  "x",
  "1x",
  "1 ",
  " 1",
  "0x10",
  "1.5",
  "\t1",
  "00001",
  "4294967295",
  "4294967296",
  "9007199254740993",
  "18446744073709551615",
  "18446744073709551616",
  "99999999999999999999999999"
]

const garbage = [
  "",
  " ",
  "foo",
  "RESERVE",
  " reserve",
  "reserve ",
  "reservex",
  "reserve-job",
  "reserve-with-timeout",
  "delete",
  "delete ",
  "delete\t1",
  "put",
  "put ",
  "use",
  "use ",
  "watch",
  "ignore ",
  "touch",
  "bury ",
  "release",
  "kick",
  "kick ",
  "kick-job",
  "kick-job ",
  "peek",
  "peek-foo",
  "peek-readyx",
  "peek-delayed ",
  "stats ",
  "statsx",
  "stats-job",
  "stats-job ",
  "stats-tube",
  "stats-tube ",
  "list-tube",
  "list-tubesx",
  "list-tubes-watched ",
  "list-tube-used ",
  "pause-tube",
  "pause-tube ",
  "pause-tubedefault 1000",
  "pause-tube  a 1000",
  "pause-tube a",
  "pause-tube -a 1000",
  "pause-tube a 1000 ",
  "pause-tube a1000",
  "pause-tube a-b 1000",
  "sta\0ts",
  "stats\0",
  "\x80\xff",
  "stats\n",
  "list-tube-used\nlist-tube-used",
  "\n"
]

/** Arguments that `strtoul` and `strtol` parse in their own ways. None is a short time. */
const kickBounds = [
  "1",
  "2",
  "3",
  "1000",
  "0",
  "-1",
  "+2",
  "\t1",
  " 2",
  "\v1",
  "1x",
  "1 2",
  "4294967296",
  "4294967297",
  "-4294967295",
  "18446744073709551615",
  "18446744073709551616",
  "-18446744073709551615",
  "x",
  "-",
  "+-1",
  "0x2"
]

const timeouts = [
  "0",
  "0",
  "0",
  "00",
  " 0",
  "0x",
  "0 junk",
  "",
  "abc",
  "+0",
  "-0",
  "\t0",
  "-",
  "-1",
  "-5x",
  "1000",
  "2147483647",
  "2147483648",
  "4294967295",
  "4294967296",
  "4294968296",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775808",
  "-9223372036854775809",
  "18446744073709551616"
]

export class Generator {
  private readonly random: Random
  private readonly length: number
  private readonly maxJobSize: number
  private readonly drainsAt: number
  /** No two jobs have the same time to run: with time, no two timers may be due at the same time. */
  private readonly ttrs = new Set<number>()
  private readonly delays = new Set<number>()
  private readonly connections: number
  private steps = 0
  /** By connection, the second half of a text whose first half was sent. */
  private readonly rests = new Map<number, string>()
  /** The connections that use timeouts above 0, with time. */
  private readonly withTimeouts = new Set<number>()

  constructor({ drains, length, maxJobSize, random }: GeneratorOptions) {
    this.random = random
    this.length = length
    this.maxJobSize = maxJobSize
    this.drainsAt = drains === true ? random.between(1, length) : Number.POSITIVE_INFINITY
    this.connections = random.between(2, 6)
    for (let who = 0; who < this.connections; who++) if (random.chance(0.4)) this.withTimeouts.add(who)
  }

  next = (state: ScriptState): Step | undefined => {
    const { random } = this
    this.steps += 1
    if (this.steps > this.length) return undefined
    if (this.steps === this.drainsAt) return { does: "drain" }
    const who = random.between(0, this.connections - 1)
    if (!state.isOpen(who)) {
      this.rests.delete(who)
      return { does: "open", who }
    }
    if (state.isTimed && random.chance(0.3)) return this.passTime()
    if (random.chance(0.025)) {
      return { does: random.weighted([[3, "close"], [1, "reset"], [2, "end"]] as const), who }
    }
    return { does: "send", who, text: this.text(state, who) }
  }

  private passTime(): Step {
    const { random } = this
    if (random.chance(0.4)) return { does: "advance-to-next" }
    return { does: "advance", grains: random.between(1, random.pick([8, 8000, 24_000, 80_000, 240_000])) }
  }

  private text(state: ScriptState, who: number): string {
    const { random } = this
    const rest = this.rests.get(who)
    if (rest !== undefined) {
      this.rests.delete(who)
      return rest
    }
    const disturbance = this.disturbance(state, who)
    if (disturbance !== undefined) return disturbance
    const commands = random.chance(0.35) ? random.between(2, 8) : 1
    const text = Array.from({ length: commands }, () => this.command(state, who)).join("")
    // The runner finds these commands in the text of a step.
    const isWhole = text.includes("peek ") || (text.includes("reserve") && (who !== 0 || state.isTimed))
    if (isWhole || state.isWaiting(who) || !random.chance(0.15)) return text
    const place = random.between(1, text.length - 1)
    this.rests.set(who, text.slice(place))
    return text.slice(0, place)
  }

  /** Something that may change the meaning of everything after it. */
  private disturbance(state: ScriptState, who: number): string | undefined {
    const { random } = this
    if (state.isTimed || state.isWaiting(who) || !random.chance(0.05)) return undefined
    return random.weighted<() => string>([
      [2, () => `foo\rbar\r\n`],
      [2, () => "list-tube-used\r\r\n"],
      [2, () => "list-tube-used\n"],
      [4, () => this.overlong()],
      // A pause of 0 ends at the next tick of the real server, which may be before or after the next command.
      [who === 0 ? 0 : 8, () => `pause-tube ${this.tube(state)} 0\r\n`],
      [1, () => "quit\r\n"],
      [1, () => "quitx\r\n"]
    ])()
  }

  private overlong(): string {
    const { random } = this
    const size = random.weighted([
      [4, random.between(218, 230)],
      [2, random.between(440, 455)],
      [2, random.between(231, 2000)]
    ])
    // The real server loses a CRLF at the end of its buffer.
    const filler = random.pick(["x", "delete 1 ", "stats\n", "\0"]).repeat(2000).slice(
      0,
      size % 224 === 1 ? size - 1 : size - 2
    )
    return `${filler}\r\n`
  }

  /** The real server loses a CRLF at the end of its buffer. */
  private command(state: ScriptState, who: number): string {
    const text = this.anyCommand(state, who)
    return text.split("\r\n").some((line) => line.length % 224 === 223) ? "stats\r\n" : text
  }

  private anyCommand(state: ScriptState, who: number): string {
    const { random } = this
    // After a reserve that waits there may be no peek: when it is executed, the job may be in the middle of an upload.
    const maySendAfterReserve = who === 0
    const isHostile = !state.isTimed && !state.isWaiting(who)
    return random.weighted<() => string>([
      [isHostile ? 4 : 0, () => `${random.pick(garbage)}\r\n`],
      [isHostile ? 4 : 0, () => this.badPut(state)],
      [18, () => this.put(state)],
      [state.isTimed ? 4 : 0, () => this.together(state)],
      [12, () => "reserve\r\n"],
      [8, () => `reserve-with-timeout ${this.timeout(state, who)}\r\n`],
      [4, () => `reserve-job ${this.id(state, who)}\r\n`],
      [8, () => `delete ${this.id(state, who)}\r\n`],
      [8, () => `release ${this.held(state, who)} ${this.priority(state)} ${this.delay(state)}\r\n`],
      [8, () => `bury ${this.held(state, who)} ${this.priority(state)}\r\n`],
      [4, () => `touch ${this.held(state, who)}\r\n`],
      [5, () => `kick ${isHostile ? random.pick(kickBounds) : random.between(1, 4)}\r\n`],
      [4, () => `kick-job ${this.id(state, who)}\r\n`],
      [maySendAfterReserve ? 0 : 3, () => `peek ${this.id(state, who)}\r\n`],
      [2, () => "peek-ready\r\n"],
      [2, () => "peek-delayed\r\n"],
      [2, () => "peek-buried\r\n"],
      [6, () => `use ${this.tube(state)}\r\n`],
      [8, () => `watch ${this.tube(state)}\r\n`],
      [5, () => `ignore ${this.tube(state)}\r\n`],
      [3, () => `pause-tube ${this.tube(state)} ${this.pause(state)}\r\n`],
      [2, () => "stats\r\n"],
      [5, () => `stats-job ${this.id(state, who)}\r\n`],
      [5, () => `stats-tube ${this.tube(state)}\r\n`],
      [2, () => "list-tubes\r\n"],
      [2, () => "list-tubes-watched\r\n"],
      [1, () => "list-tube-used\r\n"]
    ])()
  }

  private put(state: ScriptState): string {
    const { random } = this
    const body = this.body()
    return `put ${this.priority(state)} ${this.delay(state)} ${this.ttr(state)} ${body.length}\r\n${body}\r\n`
      .replace("put ", random.chance(0.02) ? "put   " : "put ")
  }

  /** Puts jobs into several tubes that are due at the same time. */
  private together(state: ScriptState): string {
    const delay = this.random.pick(shortTimes)
    return Array.from(
      { length: this.random.between(2, 4) },
      () => `use ${this.tube(state)}\r\nput ${this.priority(state)} ${delay} ${this.ttr(state)} 0\r\n\r\n`
    ).join("")
  }

  private body(): string {
    const { random } = this
    return random.weighted<() => string>([
      [20, () => random.pick(["", "x", "hello", "a\r\nb", "\r\n", "\0\xff", "stats\r\n", "0123456789"])],
      [1, () => "y".repeat(random.between(100, 3000))],
      [0.2, () => "z".repeat(random.pick([65_533, 65_534, 65_535]))]
    ])()
  }

  private badPut(state: ScriptState): string {
    const { random } = this
    const body = random.pick(["", "x", "hello", "stats\r\n", "delete 999\r\nfoo"])
    const head = `put ${this.priority(state)} ${this.delay(state)} ${this.ttr(state)}`
    return random.weighted<() => string>([
      [4, () => `${head} ${Math.max(0, body.length + random.between(-3, 3))}\r\n${body}\r\n`],
      [3, () =>
        `${head} ${random.pick(oddNumbers.filter((number) => number !== "9007199254740993"))}\r\n${body}\r\n`
          .replace("4294967295", "4294967296")],
      [
        3,
        () =>
          `put ${this.odd("0")} ${this.odd("0")} ${this.odd("1000")} ${body.length}${
            random.pick(["", " ", "x", " 1"])
          }\r\n${body}\r\n`
      ],
      [2, () => {
        const size = this.maxJobSize + random.pick([0, 1, 1, 2, 300, 5000])
        return `${head} ${size}${random.pick(["", "", " junk"])}\r\n${"w".repeat(size)}${random.pick(["\r\n", "ww"])}`
      }]
    ])()
  }

  private odd(usual: string): string {
    return this.random.chance(0.7) ? usual : this.random.pick(oddNumbers.filter((number) => !/^\s?1$/.test(number)))
  }

  private id(state: ScriptState, who: number): string {
    const { random } = this
    if (!state.isTimed && !state.isWaiting(who) && random.chance(0.06)) return random.pick(oddNumbers)
    const known = [
      ...state.holds(who),
      ...state.jobsIn("ready"),
      ...state.jobsIn("delayed"),
      ...state.jobsIn("buried")
    ]
    return jobMark(known.length > 0 && random.chance(0.75) ? random.pick(known) : random.between(0, state.jobs))
  }

  private held(state: ScriptState, who: number): string {
    const held = state.holds(who)
    return held.length > 0 && this.random.chance(0.85) ? jobMark(this.random.pick(held)) : this.id(state, who)
  }

  private tube(state: ScriptState): string {
    const { random } = this
    return random.pick(
      !state.isTimed && random.chance(0.05) ? badTubes : random.chance(0.8) ? tubes.slice(0, 4) : tubes
    )
  }

  private priority(state: ScriptState): string {
    const { random } = this
    return !state.isTimed && random.chance(0.02) ? random.pick(oddNumbers) : String(random.pick(priorities))
  }

  private delay(state: ScriptState): string {
    const { random } = this
    if (state.isTimed) return String(random.chance(0.6) ? 0 : random.pick(shortTimes))
    return random.weighted([
      [20, () => "0"],
      [9, () => this.longDelay(1000)],
      [1, () => this.longDelay(4_294_960_000)],
      [0.2, () => random.pick(["4294967296", "-1"])]
    ])()
  }

  /** In real time, equal delays end in the order in which they began. */
  private longDelay(atLeast: number): string {
    let delay = atLeast + this.random.between(0, 5000)
    while (this.delays.has(delay)) delay += 1
    this.delays.add(delay)
    return String(delay)
  }

  private ttr(state: ScriptState): string {
    const { random } = this
    if (!state.isTimed) return random.weighted([[20, "1000"], [3, "9999"], [1, "4294967295"], [0.2, "4294967296"]])
    let ttr = 2 * random.between(0, 20)
    while (this.ttrs.has(ttr)) ttr += 2
    this.ttrs.add(ttr)
    return String(ttr)
  }

  private timeout(state: ScriptState, who: number): string {
    const { random } = this
    if (!state.isTimed) return state.isWaiting(who) ? "0" : random.pick(timeouts)
    return String(this.withTimeouts.has(who) && random.chance(0.8) ? 2 * random.between(0, 10) + 1 : 0)
  }

  private pause(state: ScriptState): string {
    const { random } = this
    if (state.isTimed) return String(random.pick(shortTimes))
    return random.weighted([[5, "1000"], [2, "4294967295"], [0.3, "4294967296"], [0.3, "-1"], [0.3, "1000 "]])
  }
}
