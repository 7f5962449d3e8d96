import type { ErrorBody } from '../../../src/http/error-body';
import { Api } from '../../support/api';

let api: Api;

beforeAll(async () => {
  api = await Api.start();
});

afterAll(async () => {
  await api.stop();
});

const ask = (path: string): Promise<Response> => fetch(`${api.url}/health/${path}`);

describe('/health', () => {
  it('is live, and ready while the database answers; an api process needs no engine', async () => {
    const [live, ready] = [await ask('live'), await ask('ready')];
    expect([live.status, await live.json()]).toEqual([200, { status: 'ok' }]);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'ok', info: { database: { status: 'up' } } });
  });

  it('is live but not ready once the database is gone, and says so in the envelope', async () => {
    await api.dropDatabase();
    expect((await ask('live')).status).toBe(200);
    const ready = await ask('ready');
    expect([ready.status, ready.headers.get('Retry-After')]).toEqual([503, '2']);
    expect((await ready.json()) as ErrorBody).toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
      details: { database: 'does not answer' },
    });
  });
});
