import type { AccessRecord, BackdialEvent, Observer } from '../core/events.ts';
import { accessText, bytesText, durationText } from '../log/access-line.ts';
import { includesLevel, type LogLevel } from '../log/levels.ts';
import { LiveTunnels } from '../log/live-tunnels.ts';
import { visible } from '../log/visible.ts';

/** A terminal, as the view needs it. */
export interface ViewTerminal {
  write(text: string): unknown;
  /** Width in characters, asked for at each line: windows are resized. */
  columns(): number;
  readonly colors: boolean;
  /** The least that is shown: requests and tunnels that come up are `info`, what goes wrong is `warn`. */
  readonly level: LogLevel;
  /** Epoch ms. Default `Date.now`. */
  readonly now?: () => number;
}

/** What a person at a terminal sees of `http`, `tcp` and `demo`: one line an event, never longer than the terminal is wide. */
export interface QuickView {
  readonly observer: Observer;
  /** A line as it is, of this program's own text; not cut. */
  print(text: string): void;
  /** A warning of this program. */
  warn(text: string): void;
}

const PAINT = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2 } as const;
type Paint = keyof typeof PAINT;

/** Makes a view; nothing is written before the first event. */
export function createQuickView(terminal: ViewTerminal): QuickView {
  const live = new LiveTunnels();
  const now = terminal.now ?? Date.now;
  const paint = (color: Paint, text: string) => (terminal.colors ? `\u001b[${PAINT[color]}m${text}\u001b[0m` : text);
  const shows = (level: LogLevel) => includesLevel(terminal.level, level);
  const line: Line = (level, color, text) => {
    if (!shows(level)) return;
    const time = clock(now());
    const cut = truncate(visible(text), Math.max(20, terminal.columns() - time.length - 1));
    terminal.write(`${paint('dim', time)} ${color === null ? cut : paint(color, cut)}\n`);
  };
  const access = (record: AccessRecord) => {
    line('info', accessColor(record), accessLine(record, Math.max(20, terminal.columns() - clock(now()).length - 1)));
  };
  return {
    observer: (event) => showEvent(event, live, line, access),
    print: (text) => void terminal.write(`${text}\n`),
    warn: (text) => {
      if (shows('warn')) terminal.write(`${paint('yellow', `warning: ${visible(text)}`)}\n`);
    },
  };
}

type Line = (level: LogLevel, color: Paint | null, text: string) => void;

function showEvent(event: BackdialEvent, live: LiveTunnels, line: Line, access: (record: AccessRecord) => void): void {
  switch (event.type) {
    case 'access':
      access(event.record);
      return;
    case 'tunnel-opened':
      if (live.opened(event.tunnel) === 1) line('info', 'green', `online: tunnel to ${event.tunnel.remote} is up`);
      return;
    case 'tunnel-draining':
    case 'tunnel-closed': {
      const before = live.count(event.tunnel.domain);
      // What this side asked for is no news to who pressed Ctrl-C.
      const wanted = event.reason === 'drained' || event.reason === 'shutdown';
      if (live.left(event.tunnel) > 0 || before === 0 || wanted) return;
      line('warn', 'yellow', `offline: the last tunnel ended (${event.reason})`);
      return;
    }
    case 'dial-failed':
      if (live.count(event.domain) > 0 || event.slot !== 0) return;
      line(
        'warn',
        'red',
        `no tunnel to ${event.server}: ${event.detail}; attempt ${event.attempt}, the next in ${durationText(event.retryInMs)}`,
      );
      return;
    case 'port-opened':
      line('info', 'green', `port ${event.port} is open at ${event.peer}`);
      return;
    case 'port-refused':
      line('warn', 'red', `port ${event.port} is not open at ${event.peer}: ${event.detail}`);
      return;
    case 'warning':
      line('warn', 'yellow', `warning: ${event.message}`);
      return;
    case 'handshake-refused':
    case 'connection-refused':
    case 'listening':
    // A quick agent has one target.
    case 'target-back':
      return;
  }
}

/** Method, path, status and time; it is the path that is cut when the line is too long. */
function accessLine(record: AccessRecord, width: number): string {
  if (record.method === null) return accessText(record);
  const outcome = record.reason === 'done' ? '' : ` (${record.reason})`;
  const end = ` ${record.status ?? '-'} ${durationText(record.durationMs)} ${bytesText(record.out)}${outcome}`;
  const start = `${visible(record.method)} `;
  return `${start}${truncate(visible(record.path ?? '*'), Math.max(8, width - start.length - end.length))}${end}`;
}

function accessColor(record: AccessRecord): Paint | null {
  if (record.reason !== 'done' || (record.status ?? 0) >= 500) return 'red';
  return (record.status ?? 0) >= 400 ? 'yellow' : null;
}

/** The text in at most `width` characters, its end replaced by an ellipsis when it is longer. */
function truncate(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, Math.max(1, width - 1)).join('')}…`;
}

function clock(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8);
}
