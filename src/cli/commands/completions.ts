/** `beanstalk completions` */
import * as Effect from "effect/Effect"
import * as Argument from "../table/argument.ts"
import * as Command from "../table/command.ts"
import { Output } from "../terminal/output.ts"
import { choice } from "../values/text.ts"

/**
 * Each asks `beanstalk __complete -- WORDS…` for candidates, which are lines of a value, a tab and a description. An empty value asks
 * for the names of files. Nothing of a candidate is evaluated by the shell: `$(reboot)` may be the name of a tube.
 */
const scripts = {
  bash: `_beanstalk() {
  local line candidate word last kept quote= rest=$COMP_LINE count=0 i
  local -a words=()
  COMPREPLY=()
  # Bash ends words at : and = as well: what no space separates is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    last=\${COMP_WORDS[i]}
    if ((i > 0)) && [[ $rest != [[:space:]]* ]]; then
      word=$word$last
    else
      rest=\${rest#"\${rest%%[![:space:]]*}"}
      word=$last
      count=$((count + 1))
    fi
    rest=\${rest#"$last"}
    words[count - 1]=$word
    case $word in \\'*\\' | \\"*\\") words[count - 1]=\${word:1:\${#word} - 2} ;; esac
  done
  # A candidate is the whole word, and replaces only what Bash takes for one.
  case $last in
    [:=]) kept=$word ;;
    *) kept=\${word%"$last"} ;;
  esac
  case $last in
    \\'*\\' | \\"*\\") ;;
    [\\'\\"]*)
      quote=\${last:0:1}
      words[count - 1]=$kept\${last:1}
      ;;
  esac
  while IFS= read -r line; do
    candidate=\${line%%$'\\t'*}
    if [[ -z $candidate ]]; then
      compopt -o default
      continue
    fi
    candidate=\${candidate#"$kept"}
    case $quote in
      \\') ;;
      \\") candidate=\${candidate//\\$/\\\\$} ;;
      *) [[ $candidate == *[!A-Za-z0-9_.,/=:+-]* ]] && candidate=$(printf '%q' "$candidate") ;;
    esac
    COMPREPLY+=("$candidate")
  done < <(beanstalk __complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -F _beanstalk beanstalk
`,
  zsh: `#compdef beanstalk
_beanstalk() {
  local line
  local -a values descriptions
  for line in "\${(@f)$(beanstalk __complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == $'\\t'* ]]; then
      _files
      return
    fi
    [[ -z $line ]] && continue
    values+=("\${line%%$'\\t'*}")
    descriptions+=("\${line//$'\\t'/  }")
  done
  compadd -l -d descriptions -a values
}
# In a folder of $fpath this file is the function itself, which zsh reads when it is first called.
if [[ \${funcstack[1]} == _beanstalk ]]; then
  _beanstalk "$@"
else
  compdef _beanstalk beanstalk
fi
`,
  fish: `function __beanstalk_complete
  set -l words (commandline -opc)[2..] (commandline -ct)
  set -l lines (beanstalk __complete -- $words 2>/dev/null)
  if string match -q -- \\t'*' "$lines[1]"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $lines
  end
end
complete -c beanstalk -f -a '(__beanstalk_complete)'
`
} as const

const parameters = {
  shell: Argument.one(choice("SHELL", ["bash", "zsh", "fish"]), { summary: "the shell: bash, zsh or fish" })
}

export const command = Command.make({
  name: "completions",
  summary: "Print a script with which a shell completes commands, flags, values and the names of tubes",
  details: ["The names of tubes are asked of the server, for a second at most."],
  servers: "none",
  parameters,
  examples: [
    { run: "completions bash >> ~/.bashrc", does: "bash" },
    { run: "completions zsh > ~/.zfunc/_beanstalk", does: "zsh, with ~/.zfunc in $fpath" },
    { run: "completions fish > ~/.config/fish/completions/beanstalk.fish", does: "fish" }
  ],
  run: Effect.gen(function*() {
    const { shell } = yield* Effect.all(parameters)
    const { bytes } = yield* Output
    yield* bytes(new TextEncoder().encode(scripts[shell]))
  })
})
