// The floor of holding many idle WebSockets: a bare `ws` server, which pings them, and knows nothing of them.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const pingMs = 20_000;
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

setInterval(() => {
  for (const client of sockets.clients) client.ping();
}, pingMs);

server.listen(0, '127.0.0.1', () => {
  process.send?.(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
