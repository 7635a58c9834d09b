/** What the bench of the library and its program tell each other. */
export const DOMAIN = 'dial.test';
export const SECRET = 'a secret of the benches';

/** Where the program's server is, and how it is known. */
export interface LibraryGreeting {
  readonly port: number;
  readonly pin: string;
}

export interface LibraryOrder {
  /** Of a service that says something to whoever connects. */
  readonly targetPort: number;
}

export interface LibraryFigures {
  /** To the first byte over a connection of its own to the target. */
  readonly bareMs: number;
  /** To the first byte over `server.dial()`. */
  readonly dialMs: number;
  /** There and back through the tunnel: a dial that the agent refuses by itself. */
  readonly roundTripMs: number;
  /** Dials that the server's process makes for each second of CPU. */
  readonly dialsACore: number;
}
