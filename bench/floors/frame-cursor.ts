// The floor of a replay: frames that were made before, read by a cursor and written as they are. It knows no tenant.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Client } from 'pg';
import { WebSocketServer } from 'ws';

const [databaseUrl] = process.argv.slice(2);
const rowsAtOnce = 4;
const server = createServer();
const sockets = new WebSocketServer({ noServer: true });

server
  .on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, () => {
      void replay();
    });

    async function replay(): Promise<void> {
      const client = new Client({ connectionString: databaseUrl });
      await client.connect();
      await client.query('BEGIN');
      await client.query('DECLARE log CURSOR FOR SELECT frames FROM bench_frames ORDER BY first_line');
      for (;;) {
        const { rows } = await client.query<{ frames: Buffer }>(`FETCH ${rowsAtOnce} FROM log`);
        if (rows.length === 0) break;
        for (const { frames } of rows) if (!socket.write(frames)) await once(socket, 'drain');
      }
      await client.end();
    }
  })
  .listen(0, '127.0.0.1', () => {
    process.send?.(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
