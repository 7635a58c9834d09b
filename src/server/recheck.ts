import { asBackdialError, type BackdialError } from '../core/errors.ts';

/** How long something may go on while it is not clear whether it is still granted. */
const RECHECK_MS = 4_000;
const RECHECK_PAUSE_MS = 100;

/** Something that is open because somebody was let in, and is judged anew. */
export interface Rechecked {
  /** False once it ended by itself: there is nothing left to judge. */
  readonly isOpen: () => boolean;
  /** Rejects where it may not go on. `connection-limit`, too many checks wait in a storm of handshakes, is no verdict: asked again. */
  readonly judge: () => Promise<void>;
  /** Ends it. Null: there was no verdict in time. May be called after {@link Rechecked.isOpen} became false. */
  readonly revoke: (error: BackdialError | null) => void;
}

/** Ends what is not granted any more: at once where that is clear, within 4 s where a hash has to be checked. */
export async function recheck({ isOpen, judge, revoke }: Rechecked): Promise<void> {
  const late = setTimeout(() => revoke(null), RECHECK_MS);
  late.unref();
  while (isOpen()) {
    try {
      await judge();
      break;
    } catch (thrown) {
      const error = asBackdialError(thrown, 'internal');
      if (error.code !== 'connection-limit') {
        revoke(error);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, RECHECK_PAUSE_MS).unref());
    }
  }
  clearTimeout(late);
}
