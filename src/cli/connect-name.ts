import { BackdialError } from '../core/errors.ts';
import { toHostName } from '../core/host-name.ts';

/** A domain or an instance of one, as people name it. */
export interface ConnectName {
  /** `name[:port]`. */
  readonly authority: string;
  readonly name: string;
  readonly port: number | null;
}

/** Reads `NAME[:PORT]`. Fails with `input-invalid`. */
export function parseConnectName(text: string): ConnectName {
  const match = /^(.*?)(?::([1-9]\d{0,4}))?$/.exec(text);
  const name = toHostName(match?.[1] ?? '');
  const port = match?.[2] === undefined ? null : Number(match[2]);
  if (name === null || (port !== null && port > 65_535)) {
    throw new BackdialError(
      'input-invalid',
      `the name ${JSON.stringify(text)}; allowed: a host name, with or without :PORT`,
    );
  }
  return { authority: port === null ? name : `${name}:${port}`, name, port };
}
