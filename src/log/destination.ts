/** The two logs of a process. */
export type LogName = 'system' | 'access';

/** Where lines go: takes whole JSON lines, each with its line feed, in which nothing but that ends a line. */
export interface Destination {
  /** True where people read: sentences instead of records. */
  readonly people: boolean;
  /** Lines that it did not take, since it was opened. */
  readonly dropped: number;
  /** `level` is pino's number: 30 is info, 40 warn, 50 error, 60 fatal. Never waits, never throws. */
  write(line: string, level: number, log: LogName): void;
  /** Lets go of what was opened and opens it again: a rotated file, a receiver that moved. */
  reopen(): void;
  /** Writes what is still held, at once, as far as that is possible. For the moment before a crash. */
  flushSync(): void;
  /** Writes what is still held, for a bounded time, then takes no more. */
  close(): Promise<void>;
}

/** What is to be said about a destination; each change of its state is said once. */
export interface DestinationReport {
  /**
   * `failing`: it takes no lines; they wait, up to a bound. `working`: it takes lines again, or has caught up. `closed`: it
   * was closed before it took every line. `hint`: it takes lines, but something about it fails (rotation, compression).
   */
  readonly state: 'failing' | 'working' | 'closed' | 'hint';
  /** How many lines were dropped and not yet reported. */
  readonly dropped: number;
  /** What fails; null for `working` and `closed`. */
  readonly error: Error | null;
}
