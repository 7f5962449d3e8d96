// Measures what a process holds for the slowest of its clients: `node --require socket-meter.cjs`. Whenever the most that
// was ever buffered for one connection has grown, it prints {"socketMeter":{"most":bytes}}.
'use strict';
const { subscribe } = require('node:diagnostics_channel');
const process = require('node:process');
const { setInterval } = require('node:timers');

const sockets = new Set();
let most = 0;

subscribe('net.server.socket', ({ socket }) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});

setInterval(() => {
  const now = Math.max(0, ...[...sockets].map(({ writableLength }) => writableLength));
  if (now <= most) return;
  most = now;
  process.stdout.write(`${JSON.stringify({ socketMeter: { most } })}\n`);
}, 5).unref();
