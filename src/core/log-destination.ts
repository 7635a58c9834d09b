/** Facilities of RFC 5424, table 1, under their names of syslog.conf(5). */
export const SYSLOG_FACILITIES = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

/** Which kind of program speaks. */
export type SyslogFacility = keyof typeof SYSLOG_FACILITIES;

/** A file that lines are appended to, and when it is put aside. */
export interface LogFile {
  /** Absolute path. Its last part may hold `%Y`, `%m`, `%d`, `%H` (UTC): then a new file begins whenever the name changes. */
  readonly file: string;
  /** Whether a new file begins each day, at midnight UTC. */
  readonly daily: boolean;
  /** Size that a file is never larger than, bytes, except for a single line. 0: no limit. */
  readonly maxBytes: number;
  /** How many files that were put aside stay. 0: all. */
  readonly keep: number;
  /** Whether files that were put aside are compressed. */
  readonly gzip: boolean;
}

/** Where a syslog receiver listens. A `path` is a Unix stream socket: Node has no Unix datagram sockets. */
export type SyslogAddress =
  | { readonly protocol: 'udp' | 'tcp'; readonly host: string; readonly port: number }
  | { readonly protocol: 'unix'; readonly path: string };

/** A receiver of RFC 5424 messages. */
export interface LogSyslog {
  readonly syslog: SyslogAddress;
  readonly facility: SyslogFacility;
  /** APP-NAME: 1 to 48 characters of printable ASCII without space. */
  readonly name: string;
}

/** Where a log goes. */
export type LogDestination = 'console' | LogFile | LogSyslog;
