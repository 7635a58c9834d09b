import { once } from 'node:events';
import net from 'node:net';
import { within } from './within.ts';

/** What a visitor of a port hears first; null where nobody listens or it is reset. */
export async function hear(port: number, host = '127.0.0.1'): Promise<string | null> {
  const socket = net.connect({ port, host });
  try {
    const [data] = (await within('a greeting', once(socket, 'data'))) as [Buffer];
    return data.toString();
  } catch (error) {
    // Silence is neither.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  } finally {
    socket.destroy();
  }
}
