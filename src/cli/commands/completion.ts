import type { CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';

// What yargs offers beyond what it takes: `-_`, and `--c` for `-c`.
const BASH = `_backdial() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  local -a words
  mapfile -t words < <(backdial --get-yargs-completions "\${COMP_WORDS[@]}" 2>/dev/null | grep -vxe -_ -e "--.")
  mapfile -t COMPREPLY < <(compgen -W "\${words[*]}" -- "$word")
}
complete -o bashdefault -o default -F _backdial backdial
`;

const ZSH = `#compdef backdial
_backdial() {
  local -a words_of_backdial
  words_of_backdial=("\${(@f)$(backdial --get-yargs-completions "\${words[@]}" 2>/dev/null | grep -vxe -_ -e "--.")}")
  if (( \${#words_of_backdial} )) && [[ -n "\${words_of_backdial[1]}" ]]; then
    _describe 'backdial' words_of_backdial
  else
    _files
  fi
}
compdef _backdial backdial
`;

/** `backdial completion [SHELL]`: prints a script that the shell evaluates. */
export const completionCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('shell', { type: 'string', choices: ['bash', 'zsh'], describe: 'Default: that of SHELL' })
      .example('source <($0 completion bash)', 'in ~/.bashrc')
      .example('source <($0 completion zsh)', 'in ~/.zshrc, after compinit'),
  handler: ({ shell }) => {
    const name = typeof shell === 'string' ? shell : (process.env.SHELL ?? 'bash').replace(/^.*\//, '');
    if (name !== 'bash' && name !== 'zsh') {
      throw new BackdialError('usage', `no completion for ${name}; say bash or zsh`);
    }
    process.stdout.write(name === 'bash' ? BASH : ZSH);
  },
};
