// The floor of starting and cancelling a build: Express 5, and one conditional UPDATE of a table without triggers. It
// asks for no credential, writes no log and tells nobody.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Pool } from 'pg';

const [databaseUrl] = process.argv.slice(2);
const pool = new Pool({ connectionString: databaseUrl, max: 10 });
const app = express();
app.disable('x-powered-by');
app.set('etag', false);

const transitions: Readonly<Record<string, readonly [from: string, to: string]>> = {
  start: ['queued', 'in_progress'],
  cancel: ['in_progress', 'cancelled'],
};

app.post('/builds/:id/:transition', async (request, response) => {
  const [from, to] = transitions[request.params.transition] ?? ['', ''];
  const { rows } = await pool.query<object>({
    name: 'transition',
    text: 'UPDATE bench_builds SET status = $2, updated_at = now() WHERE id = $1 AND status = $3 RETURNING *',
    values: [request.params.id, to, from],
  });
  if (rows[0] === undefined) response.status(409);
  response.json(rows[0] ?? null);
});

const server = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
