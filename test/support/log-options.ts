import type { LogSyslog, SyslogAddress } from '../../src/core/log-destination.ts';
import { type LogOptions, type Logs, openLogs } from '../../src/log/open-logs.ts';

/** A syslog destination with the defaults of the configuration. */
export function syslog(address: SyslogAddress, changes: Partial<LogSyslog> = {}): LogSyslog {
  return { syslog: address, facility: 'daemon', name: 'backdial', ...changes };
}

/** Opens logs whose console, for people, is kept. */
export function openKept(options: LogOptions): Logs & { shown(): string } {
  let text = '';
  const terminal = {
    write(part: string) {
      text += part;
    },
  };
  const logs = openLogs(options, { fd: 1, terminal, colors: false });
  return { ...logs, shown: () => text };
}
