#!/usr/bin/env node
// The oldest Node that runs this must be able to read it: nothing is imported before the version is known, and nothing
// newer than dynamic import is used.
const OLDEST = { major: 24, minor: 21 };
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
  process.stderr.write(
    `backdial needs Node ${OLDEST.major}.${OLDEST.minor} or newer; this is Node ${process.versions.node}\n`,
  );
  process.exitCode = 70;
} else {
  const args = process.argv.slice(2);
  import('./general-help.ts')
    .then(({ quickAnswer }) => {
      const answer = quickAnswer(args, process.stdout.columns || undefined);
      if (answer === null) return import('./program.ts').then((program) => program.main(args));
      process.stdout.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') process.exitCode = 70;
      });
      process.stdout.write(answer);
      return undefined;
    })
    .catch((error) => {
      process.stderr.write(`backdial: cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 70;
    });
}

export {};
