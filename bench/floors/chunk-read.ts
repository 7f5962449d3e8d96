// The floor of reading a page of a log: the chunks that hold it, by their key, written one after another. It cuts no
// lines, asks for no tenant, and speaks bare HTTP.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'pg';

const [databaseUrl] = process.argv.slice(2);
const pool = new Pool({ connectionString: databaseUrl, max: 10 });

const server = createServer((request, response) => {
  const [, buildId, first, end] = (request.url ?? '').split('/');
  void pool
    .query<{ lines: string }>({
      name: 'chunks',
      text: 'SELECT lines FROM build_log_chunks WHERE build_id = $1 AND first_line >= $2 AND first_line < $3',
      values: [buildId, first, end],
    })
    .then(({ rows }) => response.end(rows.map(({ lines }) => lines).join('\n')));
}).listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
