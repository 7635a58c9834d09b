import type { CommandModule } from 'yargs';
import { visible } from '../../log/visible.ts';

/** `backdial import groom FILE`: a configuration of groom as one of this program. */
export const importCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('from', {
        type: 'string',
        choices: ['groom'],
        describe: 'Whose configuration it is',
        demandOption: true,
      })
      .positional('file', { type: 'string', describe: "groom's main file", demandOption: true })
      .option('out', {
        type: 'string',
        requiresArg: true,
        default: '.',
        describe: 'Folder that the files are written to',
      })
      .option('force', { type: 'boolean', describe: 'Overwrite files that are there' })
      .example('$0 import groom /etc/groom/groom.conf --out /etc/backdial', ''),
  handler: ({ file, out, force }) => convert(String(file), String(out), force === true),
};

async function convert(file: string, out: string, force: boolean): Promise<void> {
  const { importGroom } = await import('../groom/import.ts');
  const { kind, main, domains, notes } = importGroom({ file, out, force });
  for (const path of [main, ...domains]) process.stdout.write(`wrote ${path}\n`);
  // They quote names of files and of keys.
  for (const note of notes) process.stdout.write(`note: ${visible(note)}\n`);
  const secrets = kind === 'agent' ? '' : ' Agents dial with the same secrets.';
  process.stdout.write(`Next: backdial check -c ${main}.${secrets}\n`);
}
