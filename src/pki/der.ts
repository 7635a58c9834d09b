/** One value of DER (X.690): its tag, and its content within the bytes that it was read from. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length: what a signature is over. */
  readonly whole: Buffer;
}

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The value at the beginning of `bytes`. Throws a RangeError for what is no DER, or is cut. */
export function readDer(bytes: Buffer): DerValue {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new RangeError('not DER');
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthBytes > 4 || bytes.length < 2 + lengthBytes) throw new RangeError('not DER');
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes);
  const end = 2 + lengthBytes + length;
  if (end > bytes.length) throw new RangeError('cut DER');
  return { tag, content: bytes.subarray(2 + lengthBytes, end), whole: bytes.subarray(0, end) };
}

/** The values that follow one another in `bytes`. */
export function readAllDer(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const value = readDer(rest);
    values.push(value);
    rest = rest.subarray(value.whole.length);
  }
  return values;
}

/** The values within a SEQUENCE. */
export function readSequence(value: DerValue | undefined): DerValue[] {
  if (value?.tag !== DER.sequence) throw new RangeError('not a SEQUENCE');
  return readAllDer(value.content);
}

/** `1.2.840...` of an OBJECT IDENTIFIER. */
export function readOid(value: DerValue | undefined): string {
  if (value?.tag !== DER.objectIdentifier) throw new RangeError('not an OBJECT IDENTIFIER');
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of value.content) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(arc / 40)), arc - 40 * Math.min(2, Math.floor(arc / 40)));
    else arcs.push(arc);
    arc = 0;
  }
  return arcs.join('.');
}

/** A UTCTime or a GeneralizedTime in the form of RFC 5280, section 4.1.2.5. */
export function readTime(value: DerValue | undefined): Date {
  const text = value?.content.toString('latin1') ?? '';
  const match = /^(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  const isShort = value?.tag === DER.utcTime;
  if (match === null || (!isShort && value?.tag !== DER.generalizedTime)) throw new RangeError('not a time');
  const [, years = '', ...rest] = match;
  if (years.length !== (isShort ? 2 : 4)) throw new RangeError('not a time');
  const year = Number(years) + (isShort ? (Number(years) < 50 ? 2000 : 1900) : 0);
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number);
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}
