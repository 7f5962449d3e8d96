// Clients that take all that a WebSocket sends, unread. Says when all are connected; asked for a number of bytes, it
// says when each of them was sent as many.
import { randomBytes } from 'node:crypto';
import net from 'node:net';

const [address = '', count = '1', token = ''] = process.argv.slice(2);
const { hostname, port, pathname, search, host } = new URL(address);
const clients = Number(count);
const received = new Array<number>(clients).fill(0);
let open = 0;
let wanted = Infinity;
let satisfied = 0;

function add(client: number, bytes: number): void {
  const before = received[client] ?? 0;
  received[client] = before + bytes;
  if (before < wanted && before + bytes >= wanted) satisfy();
}

function satisfy(): void {
  satisfied += 1;
  if (satisfied < clients) return;
  wanted = Infinity;
  process.send?.('received');
}

process.on('message', (bytes: number) => {
  wanted = bytes;
  satisfied = 0;
  for (const sum of received) if (sum >= bytes) satisfy();
});

for (let client = 0; client < clients; client += 1) {
  const socket = net.connect(Number(port), hostname, () => {
    socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
        `${token === '' ? '' : `Authorization: Bearer ${token}\r\n`}\r\n`,
    );
  });
  socket.once('data', (answer) => {
    if (!answer.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(answer.toString());
    add(client, answer.length - answer.indexOf('\r\n\r\n') - 4);
    socket.on('data', ({ length }) => {
      add(client, length);
    });
    open += 1;
    if (open === clients) process.send?.('open');
  });
}
