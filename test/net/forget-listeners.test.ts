import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { test } from 'node:test';
import { forgetListeners } from '../../src/net/forget-listeners.ts';
import { listenOn } from '../support/listen-on.ts';

test('who listens to the close of a stream that is forgotten then is told of it, and only errors are heard afterwards', async () => {
  const server = http2.createServer((_request, response) => void response.end('whole'));
  const session = http2.connect(`http://127.0.0.1:${await listenOn(server)}`);
  try {
    const stream = session.request({ ':path': '/' });
    const told: string[] = [];
    stream.on('close', () => forgetListeners(stream));
    stream.on('close', () => told.push('close'));
    stream.once('close', () => told.push('once'));
    stream.on('data', (chunk: Buffer) => told.push(chunk.toString()));
    await once(stream, 'close');
    assert.deepEqual(told, ['whole', 'close', 'once']);
    assert.deepEqual(stream.eventNames(), ['error']);
    stream.emit('error', new Error('nobody is there to be told'));
  } finally {
    session.destroy();
    server.close();
  }
});
