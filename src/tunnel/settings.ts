import type { ClientSessionOptions, ServerOptions, Settings } from 'node:http2';
import { FIRST_STREAM_WINDOW_BYTES } from './windows.ts';

/**
 * Past it nghttp2 refuses streams and after 100 refusals the whole session dies: above what the windows of all streams
 * that are likely to stall can hold. Megabytes.
 */
const MAX_SESSION_MEMORY_MB = 1024;
/** Default is 128, and then a response of 150 fields ends as ENHANCE_YOUR_CALM. */
const MAX_HEADER_LIST_PAIRS = 512;

const SETTINGS: Settings = {
  initialWindowSize: FIRST_STREAM_WINDOW_BYTES,
  maxHeaderListSize: 65_536,
  enablePush: false,
};

/** For `http2.connect` on the server, which is the HTTP/2 client of a tunnel. */
export function clientSessionOptions(): ClientSessionOptions {
  return {
    settings: SETTINGS,
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    maxHeaderListPairs: MAX_HEADER_LIST_PAIRS,
  };
}

/** For `http2.performServerHandshake` on the agent. `concurrency` is SETTINGS_MAX_CONCURRENT_STREAMS. */
export function serverSessionOptions(concurrency: number): ServerOptions {
  return {
    settings: { ...SETTINGS, maxConcurrentStreams: concurrency },
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    maxHeaderListPairs: MAX_HEADER_LIST_PAIRS,
    // nghttp2's server role answers about 1,020 RST_STREAM in a row with GOAWAY. Here they are visitors who went away.
    streamResetBurst: 10_000_000,
    streamResetRate: 10_000_000,
    // Streams that were reset before they were looked at take their places a little longer than the server knows, by far when
    // this process has just been held up; after 100 refusals in a row (the default) Node would end the session.
    maxSessionRejectedStreams: 10_000_000,
  };
}
