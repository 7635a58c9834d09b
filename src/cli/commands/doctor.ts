import type { CommandModule } from 'yargs';
import { type QuickArguments, serverOptions } from '../quick-flags.ts';

interface DoctorArguments extends QuickArguments {
  readonly config?: string;
  readonly json?: boolean;
}

/** `backdial doctor`: why an agent does not come up, or its target is not reached; exit 1 when something is wrong. */
export const doctorCommand: CommandModule = {
  builder: (parser) =>
    serverOptions(parser)
      .positional('target', { type: 'string', describe: 'Target to try: PORT, HOST:PORT, unix:/path or a URL' })
      .option('config', {
        alias: 'c',
        type: 'string',
        requiresArg: true,
        describe: "An agent's file: every active domain of it, with its servers and targets",
      })
      .option('json', { type: 'boolean', describe: 'Print { ok, findings } as JSON' })
      .conflicts('config', ['server', 'target'])
      .example('$0 doctor -c /etc/backdial/agent.json5', '')
      .example('$0 doctor 3000 --server vps.example.com --domain dev.example.com --secret-file s', ''),
  handler: (flags) => diagnose(flags as unknown as DoctorArguments),
};

async function diagnose(flags: DoctorArguments): Promise<void> {
  const [{ examine }, { isHealthy }, { reportText }, subjects, { wantsColors }] = await Promise.all([
    import('../doctor/examine.ts'),
    import('../doctor/findings.ts'),
    import('../doctor/report.ts'),
    import('../doctor/subject.ts'),
    import('../terminal.ts'),
  ]);
  const subject =
    flags.config === undefined
      ? subjects.subjectOfFlags(flags, process.env)
      : await subjects.subjectOfFile(flags.config);
  const findings = await examine(subject, process.env);
  const ok = isHealthy(findings);
  process.stdout.write(
    flags.json === true ? `${JSON.stringify({ ok, findings }, null, 2)}\n` : reportText(findings, wantsColors()),
  );
  if (!ok) process.exitCode = 1;
}
