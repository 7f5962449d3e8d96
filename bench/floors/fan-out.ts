// The floors of telling many subscribers of lines. `framed`: a batch's frames are made before, and written as they are to
// each. `each`: a message is serialised once a line and sent to each by `ws`. Neither knows who they are, nor where they are.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { FramedLines } from '../../src/build-logs/framed-lines';

const [way = '', buildId = '', lines = ''] = process.argv.slice(2);
const server = createServer();
const upgrades = new WebSocketServer({ noServer: true });
const sockets: Duplex[] = [];
const clients: WebSocket[] = [];
const frames = FramedLines.of(buildId, 0, lines).since(0);
const entries = lines.split('\n').map((line) => JSON.parse(line) as object);

function writeFramed(): void {
  for (const socket of sockets) socket.write(frames);
}

function sendEach(): void {
  for (const entry of entries) {
    const text = JSON.stringify({ build_id: buildId, ...entry });
    for (const client of clients) client.send(text);
  }
}

process.on('message', (batches: number) => {
  for (let batch = 0; batch < batches; batch += 1) {
    if (way === 'framed') writeFramed();
    else sendEach();
  }
});

server
  .on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (client) => {
      sockets.push(socket);
      clients.push(client);
    });
  })
  .listen(0, '127.0.0.1', () => {
    process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
