import { fetchFor, socketDispatcher } from './fetch-load.ts';
import type { FetchOrder } from './fetch-words.ts';

// A program that fetches over sockets, as visitors from elsewhere do.
const dispatcher = socketDispatcher();
process.on('message', (order: FetchOrder) => void fetchFor(order, dispatcher).then((count) => process.send?.(count)));
process.on('disconnect', () => process.exit());
