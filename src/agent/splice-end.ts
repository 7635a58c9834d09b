import { BackdialError } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import type { SpliceResult } from '../net/splice.ts';

/** Why a stream (side `a`) that was spliced with its target (`b`) ended. */
export function endOfSplice({ end, error }: SpliceResult): StreamEnd {
  switch (end) {
    case 'done':
      return 'done';
    case 'b-reset':
      return 'target-lost';
    case 'aborted':
      return 'tunnel-draining';
    case 'a-reset':
      return error instanceof BackdialError ? error.code : 'visitor-reset';
  }
}
