import { isLoopbackRegistry, parseImageName } from './image-name';

const sha = `sha256:${'a'.repeat(64)}`;

it.each([
  ['alpine', 'docker.io', 'docker.io/library/alpine:latest'],
  ['docker:24', 'docker.io', 'docker.io/library/docker:24'],
  ['team/app:1', 'docker.io', 'docker.io/team/app:1'],
  ['my_team/app', 'docker.io', 'docker.io/my_team/app:latest'],
  ['docker.io/alpine', 'docker.io', 'docker.io/library/alpine:latest'],
  ['index.docker.io/library/alpine', 'docker.io', 'docker.io/library/alpine:latest'],
  ['localhost/app', 'localhost', 'localhost/app:latest'],
  ['127.0.0.1:5000/a/b/c:x', '127.0.0.1:5000', '127.0.0.1:5000/a/b/c:x'],
  ['reg.test/app:1@' + sha, 'reg.test', 'reg.test/app@' + sha],
])('qualifies %s', (text, registry, qualified) => {
  expect(parseImageName(text)).toMatchObject({ registry, qualified });
});

it.each([
  '',
  'Alpine',
  'a b',
  'oci-archive:/etc/passwd',
  'oci:layout',
  'dir:/etc',
  'docker://alpine',
  'docker-daemon:alpine:1',
  'containers-storage:x',
  '../x',
  'reg.test/../x',
  'x@sha256:abc',
  '-x',
  'x:',
])('refuses %j', (text) => {
  expect(parseImageName(text)).toBeNull();
});

it.each([
  ['127.0.0.1:5000', true],
  ['localhost', true],
  ['[::1]:5000', true],
  ['127.0.0.1.evil.test', false],
  ['localhost.evil.test', false],
  ['reg.test', false],
])('knows whether %s is on the loopback', (registry, expected) => {
  expect(isLoopbackRegistry(registry)).toBe(expected);
});
