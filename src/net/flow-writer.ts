/**
 * Writes what a source brings to a sink, and pauses the source when the sink has enough. Its owner resumes the source at the sink's
 * `drain`.
 */
export interface FlowWriter {
  write(chunk: Buffer): void;
  /** Ends the sink behind all that was written. */
  end(): false;
  /** As {@link end}, for a sink that has brought its own end already. True: it was closed at once, and says no `finish`. */
  endLast(): boolean;
  /** To be called at the sink's `drain`. */
  queueOnMove(): void;
  /** To be called when all is over: the sink's queue is nobody's business any more. */
  close(): void;
}
