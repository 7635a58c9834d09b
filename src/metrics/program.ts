import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import { VERSION } from '../core/version.ts';

/** What the program around a server or an agent knows. */
export interface ProgramFigures {
  /** When the configuration in force was read, epoch ms, and how many came before it, from 1. */
  readonly config: { readonly generation: number; readonly appliedAt: number; readonly lastReloadOk: boolean };
  /** Lines that the logs dropped since the start. */
  readonly droppedLogLines: number;
  /** Of the configured certificates: their hosts, and when they end, epoch ms. */
  readonly certificates: readonly { readonly hosts: string; readonly notAfter: number }[];
}

/** A look at the event loop wakes the process; this often an idle one still sleeps nearly all the time, ms. */
const LOOP_RESOLUTION_MS = 100;
const PERCENTILES = [50, 90, 99];

/** The program, its process and its event loop. */
export class Program {
  readonly #gauges: Readonly<Record<string, Gauge>>;
  readonly #dropped: Counter;
  readonly #cpu: Counter;
  readonly #certificates: Gauge;
  readonly #loopDelay: Gauge;
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  #utilization = performance.eventLoopUtilization();

  constructor(registry: Registry, side: 'server' | 'agent') {
    const registers = [registry];
    const gauge = (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name, help, labelNames, registers });
    gauge('backdial_build_info', 'Always 1; what runs is in the labels.', ['version', 'node', 'side']).set(
      { version: VERSION, node: process.version, side },
      1,
    );
    gauge('process_start_time_seconds', 'When the process started, since the epoch.').set(
      performance.timeOrigin / 1_000,
    );
    this.#gauges = {
      generation: gauge('backdial_config_generation', 'Which configuration is in force, counted from 1 at the start.'),
      appliedAt: gauge('backdial_config_applied_timestamp_seconds', 'Since when it is in force, since the epoch.'),
      age: gauge('backdial_config_age_seconds', 'How long it has been in force.'),
      reloadOk: gauge(
        'backdial_config_last_reload_successful',
        '1: the files as they are now are in force. 0: they are not.',
      ),
      resident: gauge('process_resident_memory_bytes', 'Resident memory.'),
      heap: gauge('nodejs_heap_used_bytes', 'Memory in use on the heap.'),
      external: gauge('nodejs_external_memory_bytes', 'Memory of buffers outside the heap.'),
      descriptors: gauge('process_open_fds', 'Open file descriptors.'),
      utilization: gauge(
        'backdial_event_loop_utilization_ratio',
        'Busy share of the event loop since the last scrape.',
      ),
    };
    this.#dropped = new Counter({
      name: 'backdial_log_lines_dropped_total',
      help: 'Lines that no log destination took.',
      registers,
    });
    this.#cpu = new Counter({
      name: 'process_cpu_seconds_total',
      help: 'CPU time, user and system.',
      registers,
    });
    this.#certificates = gauge(
      'backdial_certificate_not_after_timestamp_seconds',
      'When a configured certificate ends, since the epoch.',
      ['hosts'],
    );
    this.#loopDelay = gauge('backdial_event_loop_delay_seconds', 'How late timers were since the last scrape.', [
      'percentile',
    ]);
    this.#loop.enable();
  }

  refresh({ config, droppedLogLines, certificates }: ProgramFigures): void {
    const now = Date.now();
    const memory = process.memoryUsage();
    const utilization = performance.eventLoopUtilization(this.#utilization);
    this.#utilization = performance.eventLoopUtilization();
    this.#set({
      generation: config.generation,
      appliedAt: config.appliedAt / 1_000,
      age: (now - config.appliedAt) / 1_000,
      reloadOk: config.lastReloadOk ? 1 : 0,
      resident: memory.rss,
      heap: memory.heapUsed,
      external: memory.external,
      descriptors: openDescriptors(),
      utilization: utilization.utilization,
    });
    this.#dropped.reset();
    this.#dropped.inc(droppedLogLines);
    const { user, system } = process.cpuUsage();
    this.#cpu.reset();
    this.#cpu.inc((user + system) / 1_000_000);
    this.#certificates.reset();
    for (const { hosts, notAfter } of certificates) this.#certificates.set({ hosts }, notAfter / 1_000);
    for (const percentile of PERCENTILES) {
      // The histogram measures from one look to the next, the time between them included.
      const lateMs = Math.max(0, this.#loop.percentile(percentile) / 1e6 - LOOP_RESOLUTION_MS);
      this.#loopDelay.set({ percentile: String(percentile) }, lateMs / 1_000);
    }
    this.#loop.reset();
  }

  /** Leaves no timer behind. */
  close(): void {
    this.#loop.disable();
  }

  #set(values: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(values)) this.#gauges[name]?.set(value);
  }
}

/** 0 where the system does not tell. */
function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
