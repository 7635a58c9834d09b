import type { CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';
import { hashedName, toHostName } from '../../core/host-name.ts';

/** `backdial hostname NAME`: the canonical A-label form, or its hash. */
export const hostnameCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('name', { type: 'string', demandOption: true, describe: 'Host name in any script' })
      .option('hashed', {
        type: 'boolean',
        default: false,
        describe: 'Print the name of its folder where `sni.hashed` is on: BLAKE2s-256 in base64url',
      })
      .example('$0 hostname faß.de', 'xn--fa-hia.de'),
  handler: ({ name, hashed }) => {
    const canonical = toHostName(String(name));
    if (canonical === null) throw new BackdialError('name-invalid', JSON.stringify(name));
    process.stdout.write(`${hashed === true ? hashedName(canonical) : canonical}\n`);
  },
};
