import type { CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';
import { toHostName } from '../../core/host-name.ts';

/** `backdial hostname NAME`: the canonical A-label form. */
export const hostnameCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('name', { type: 'string', demandOption: true, describe: 'Host name in any script' })
      .example('$0 hostname faß.de', 'xn--fa-hia.de'),
  handler: ({ name }) => {
    const canonical = toHostName(String(name));
    if (canonical === null) throw new BackdialError('name-invalid', JSON.stringify(name));
    process.stdout.write(`${canonical}\n`);
  },
};
