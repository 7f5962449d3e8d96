import { readRegistryFailure } from './registry-failure';

const source = 'initializing source docker://reg.test/x:latest: ';

it.each([
  [
    `${source}reading manifest latest in reg.test/x: manifest unknown: manifest unknown`,
    'not found in the registry',
    false,
  ],
  [
    `${source}reading manifest latest in reg.test/x: unauthorized: authentication required`,
    'the registry refused the credentials: unauthorized',
    false,
  ],
  [
    'writing blob: initiating layer upload to /v2/x/blobs/uploads/ in reg.test: requested access to the resource is denied',
    'the registry refused the credentials: unauthorized',
    false,
  ],
  [
    `${source}pinging container registry reg.test: Get "https://reg.test/v2/": dial tcp 127.0.0.1:1: connect: connection refused`,
    'registry unreachable: connect: connection refused',
    true,
  ],
  [
    `${source}pinging container registry reg.test: Get "https://not-found.test/v2/": dial tcp: lookup reg.test: no such host`,
    'registry unreachable: lookup reg.test: no such host',
    true,
  ],
  [
    `${source}pinging container registry reg.test: Get "https://reg.test/v2/": x509: certificate signed by unknown authority`,
    'no secure connection to the registry: x509: certificate signed by unknown authority',
    false,
  ],
  [
    `${source}reading manifest: toomanyrequests: You have reached your pull rate limit`,
    'the registry allows no more requests at present',
    true,
  ],
  ['copying system image from manifest list: open /x: permission denied', 'open /x: permission denied', false],
])('reads %j', (error, reason, transient) => {
  expect(readRegistryFailure(error, true)).toEqual({ reason, transient });
});

it('says that no credentials were used', () => {
  const { reason } = readRegistryFailure('unauthorized: authentication required', false);
  expect(reason).toBe('the registry refused access without credentials: unauthorized');
});
