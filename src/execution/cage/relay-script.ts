/**
 * The relay of a cage, for `node -e`: leads from inside to servers of the host at their very addresses. It runs in the
 * network namespace of the host; a child of it opens the listening sockets in that of the cage (its path is the first
 * argument, a list of addresses and ports the second), hands them over and ends.
 */
export const relayScript = `
const { spawn, spawnSync } = require('node:child_process');
const { writeSync } = require('node:fs');
const net = require('node:net');
const [namespace, list] = process.argv.slice(1);
const targets = JSON.parse(list);

function open() {
  targets.forEach((target, index) => {
    const own = target.address.startsWith('127.') || target.address === '::1';
    if (!own) spawnSync('ip', ['address', 'add', target.address, 'dev', 'lo']);
    const server = net.createServer({ allowHalfOpen: true });
    server.listen({ host: target.address, port: target.port, exclusive: true }, () => process.send(index, server));
  });
}

function join(socket, target) {
  const server = net.connect({ host: target.address, port: target.port, allowHalfOpen: true });
  for (const [from, to] of [[socket, server], [server, socket]]) {
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => to.destroySoon());
    from.pipe(to);
  }
}

if (process.send) open();
else {
  const args = ['--net=' + namespace, '--', process.execPath, ...process.execArgv, namespace, list];
  const child = spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  let ready = 0;
  child.on('message', (index, server) => {
    server.allowHalfOpen = true;
    server.on('connection', (socket) => join(socket, targets[index]));
    ready += 1;
    if (ready < targets.length) return;
    child.once('exit', () => writeSync(9, '1\\n'));
    child.kill('SIGKILL');
  });
  child.once('exit', () => {
    if (ready < targets.length) process.exit(1);
  });
}
`;
