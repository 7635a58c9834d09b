import { type AgentConfig, loadAgent } from '../config/load-agent.ts';
import { loadServer, type ServerConfig } from '../config/load-server.ts';
import type { Loaded } from '../config/loaded.ts';
import { formatProblem, type Problem } from '../config/problems.ts';
import { BackdialError } from '../core/errors.ts';
import { visible } from '../log/visible.ts';

/** Loads a server's configuration; `state` follows STATE_DIRECTORY. Prints warnings and problems; fails with `config-invalid`. */
export async function loadServerConfig(file: string): Promise<ServerConfig> {
  return reportLoaded(file, await loadServer(file, { stateDirectory: process.env.STATE_DIRECTORY }));
}

/** Loads an agent's configuration; `state` follows STATE_DIRECTORY. Prints warnings and problems; fails with `config-invalid`. */
export async function loadAgentConfig(file: string): Promise<AgentConfig> {
  return reportLoaded(file, await loadAgent(file, { stateDirectory: process.env.STATE_DIRECTORY }));
}

/** Prints every warning and problem on standard error, one a line; fails with `config-invalid` when there is a problem. */
export function reportLoaded<T>(file: string, result: Loaded<T>): T {
  for (const warning of result.warnings) printProblem({ ...warning, message: `warning: ${warning.message}` });
  if (result.ok) return result.config;
  reportProblems(file, result.problems);
}

/** Prints problems on standard error, one a line, and fails with `config-invalid`. */
export function reportProblems(file: string, problems: readonly Problem[]): never {
  for (const problem of problems) printProblem(problem);
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  throw new BackdialError('config-invalid', `${file}: ${count}`);
}

/** Names of files and keys may hold anything. */
function printProblem(problem: Problem): void {
  process.stderr.write(`${visible(formatProblem(problem))}\n`);
}
