// The floor of reading a build: Express 5 and pg, without any authentication. One statement, one JSON.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Pool } from 'pg';

const [databaseUrl] = process.argv.slice(2);
const pool = new Pool({ connectionString: databaseUrl, max: 10 });
const app = express();
app.disable('x-powered-by');
app.set('etag', false);

app.get('/builds/:id', async (request, response) => {
  const { rows } = await pool.query<object>({
    name: 'build',
    text: 'SELECT * FROM builds WHERE id = $1 AND deleted_at IS NULL',
    values: [request.params.id],
  });
  if (rows[0] === undefined) response.status(404);
  response.json(rows[0] ?? null);
});

const server = createServer(app).listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
