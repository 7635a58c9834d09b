import { BackdialError } from './errors.ts';

/** True for the moments (epoch ms) that an entry of `ranges` means. */
export type TimeRange = (epochMs: number) => boolean;

const DAY_MS = 86_400_000;
const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
/** Of 1970-01-01, a Thursday. */
const FIRST_WEEKDAY = 3;
/** Characters of a token that a message shows. */
const MAX_SHOWN = 60;
const FORMS =
  'days 2019-10-01, 2019-10-01-2019-10-31, 2019-10-01-, -2019-10-31; weekdays tue, tue-fri, sat-, sat-tue; ' +
  'times 08:00-19:00, 22:00-06:00, 13:00-, with seconds or without';

const DATE = String.raw`\d{4}-\d\d-\d\d`;
const WEEKDAY = '[a-z]{3}';
const TIME = String.raw`\d\d:\d\d(?::\d\d)?`;

/** What all tokens of an entry ask for together. */
interface Entry {
  /** First and last day, in days since 1970-01-01. */
  from: number;
  to: number;
  /** Monday first. */
  readonly weekdays: boolean[];
  /** First and last second of the day; a first behind the last wraps past midnight. */
  readonly times: (readonly [first: number, last: number])[];
}

/**
 * Reads an entry of `ranges`: tokens separated by blanks, all of which must hold, in UTC.
 *
 * - Days: `2019-10-01`, `2019-10-01-2019-10-31`, `2019-10-01-` (from then on), `-2019-10-31` (until then).
 * - Weekdays: `tue`, `tue-fri`, `sat-` (until Sunday), `-tue` (from Monday on), `sat-tue` (wraps past Sunday).
 * - Times: `08:00-19:00`, `13:00-` (until midnight), `-13:00` (from midnight on), `22:00-06:00` (wraps past midnight).
 *
 * Ends are inclusive, for times to the second: `08:00-19:00` holds for the last time at 19:00:00.
 *
 * What follows midnight in a time that wraps belongs to the day before: `fri 22:00-06:00` is the night from Friday to
 * Saturday, and not the early hours of Friday.
 *
 * Fails with `input-invalid`, naming the token.
 */
export function parseTimeRange(text: string): TimeRange {
  const { from, to, weekdays, times } = understood(text);
  return (epochMs) => {
    let day = Math.floor(epochMs / DAY_MS);
    const second = Math.floor((epochMs - day * DAY_MS) / 1_000);
    if (!times.every((time) => isBetween(time, second))) return false;
    if (times.some(([first, last]) => first > last && second <= last)) day -= 1;
    return day >= from && day <= to && weekdays[weekdayOf(day)] === true;
  };
}

/** True for an entry that holds at no moment, such as `2020-01-01 sat` (a Wednesday). Fails as {@link parseTimeRange} does. */
export function neverHolds(text: string): boolean {
  const { from, to, weekdays, times } = understood(text);
  const days =
    to - from < WEEKDAYS.length ? WEEKDAYS.map((_, offset) => from + offset).filter((day) => day <= to) : null;
  if (days === null ? !weekdays.includes(true) : !days.some((day) => weekdays[weekdayOf(day)])) return true;
  // Where all times hold at all, they do when one of them begins.
  return times.length > 0 && !times.some(([second]) => times.every((time) => isBetween(time, second)));
}

/** What is wrong with an entry: what was found, and what is allowed. Null when nothing is. */
export function timeRangeFault(text: string): string | null {
  const entry = parseEntry(text);
  return typeof entry === 'string' ? entry : null;
}

function understood(text: string): Entry {
  const entry = parseEntry(text);
  if (typeof entry === 'string') throw new BackdialError('input-invalid', entry);
  return entry;
}

/** Office hours are the same in many files, and each is looked at several times: what came of the last texts is remembered. */
const MAX_REMEMBERED = 1_000;
const remembered = new Map<string, Entry | string>();

/** The entry, not to be changed, or what is wrong with it. */
function parseEntry(text: string): Entry | string {
  let entry = remembered.get(text);
  if (entry !== undefined) return entry;
  entry = readEntry(text);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(text, entry);
  return entry;
}

function readEntry(text: string): Entry | string {
  const entry: Entry = {
    from: Number.NEGATIVE_INFINITY,
    to: Number.POSITIVE_INFINITY,
    weekdays: WEEKDAYS.map(() => true),
    times: [],
  };
  const tokens = text.split(/[ \t]+/).filter((token) => token !== '');
  if (tokens.length === 0) return `found no token; allowed: ${FORMS}`;
  for (const token of tokens) {
    const taken = takeDays(token, entry) || takeWeekdays(token, entry) || takeTimes(token, entry);
    if (taken === true) continue;
    return `${taken || 'unknown token'} ${JSON.stringify(token.slice(0, MAX_SHOWN))}; allowed: ${FORMS}`;
  }
  return entry;
}

/** True: the entry has it now. False: it is no token of this kind. A text: it is, but a wrong one. */
type Taken = boolean | string;

function takeDays(token: string, entry: Entry): Taken {
  const ends = endsOf(token, DATE);
  if (ends === null) return false;
  const from = ends.first === undefined ? Number.NEGATIVE_INFINITY : dayNumber(ends.first);
  const to = ends.last === undefined ? Number.POSITIVE_INFINITY : dayNumber(ends.last);
  if (Number.isNaN(from) || Number.isNaN(to)) return 'no such day:';
  if (from > to) return 'the end is before the beginning:';
  entry.from = Math.max(entry.from, from);
  entry.to = Math.min(entry.to, to);
  return true;
}

function takeWeekdays(token: string, { weekdays }: Entry): Taken {
  const ends = endsOf(token.toLowerCase(), WEEKDAY);
  if (ends === null) return false;
  const { first = 'mon', last = 'sun' } = ends;
  const range = [WEEKDAYS.indexOf(first), WEEKDAYS.indexOf(last)] as const;
  if (range.includes(-1)) return false;
  for (let day = 0; day < WEEKDAYS.length; day += 1) if (!isBetween(range, day)) weekdays[day] = false;
  return true;
}

function takeTimes(token: string, { times }: Entry): Taken {
  const ends = endsOf(token, TIME);
  // A moment of the day is no range.
  if (ends === null || !token.includes('-')) return false;
  const { first = '00:00', last = '23:59:59' } = ends;
  const range = [secondNumber(first), secondNumber(last)] as const;
  if (range.includes(Number.NaN)) return 'no such time of day:';
  times.push(range);
  return true;
}

/** The ends of `a-b`, `a-`, `-b`, or of `a` alone, which is both. Null where the token is none of these. */
function endsOf(token: string, unit: string): { readonly first?: string; readonly last?: string } | null {
  const match = new RegExp(`^(?:(?<only>${unit})|(?<first>${unit})?-(?<last>${unit})?)$`).exec(token)?.groups;
  if (match === undefined || token === '-') return null;
  return match.only === undefined ? match : { first: match.only, last: match.only };
}

/** Of numbers that go round: a first behind the last wraps. */
function isBetween([first, last]: readonly [number, number], value: number): boolean {
  return first <= last ? value >= first && value <= last : value >= first || value <= last;
}

function weekdayOf(day: number): number {
  const weekday = (day + FIRST_WEEKDAY) % WEEKDAYS.length;
  return weekday < 0 ? weekday + WEEKDAYS.length : weekday;
}

/** Days since 1970-01-01; NaN for a day that no calendar has. */
function dayNumber(date: string): number {
  const epochMs = Date.parse(`${date}T00:00:00Z`);
  // Date.parse takes 2019-02-30 for the 2nd of March.
  const isReal = !Number.isNaN(epochMs) && new Date(epochMs).toISOString().startsWith(date);
  return isReal ? epochMs / DAY_MS : Number.NaN;
}

/** Seconds since midnight; NaN for a time that no day has. */
function secondNumber(time: string): number {
  const [hour = 0, minute = 0, second = 0] = time.split(':').map(Number);
  return hour < 24 && minute < 60 && second < 60 ? hour * 3_600 + minute * 60 + second : Number.NaN;
}
