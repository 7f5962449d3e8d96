import { admitRemote } from './git-remote';

const admit = (url: string) => admitRemote(url, { allowedProtocols: ['https', 'ssh', 'git'] });

it('reads a port behind a scheme alone: git takes it for a part of the path elsewhere', async () => {
  const server = { host: '93.184.216.34', address: '93.184.216.34' };
  expect(await admit('git@93.184.216.34:2222/team/app')).toMatchObject({ server: { ...server, port: 22 } });
  expect(await admit('ssh://git@93.184.216.34:2222/team/app')).toMatchObject({ server: { ...server, port: 2222 } });
});

it('names the address in a URL of git itself, which has no other way to be led there', async () => {
  expect(await admit('git://93.184.216.34/git')).toMatchObject({ url: 'git://93.184.216.34:9418/git' });
  expect(await admit('git://[2606:4700::1111]:99/a')).toMatchObject({ url: 'git://[2606:4700::1111]:99/a' });
});

it('knows no user in such a URL', async () => {
  await expect(admit('git://93.184.216.34@10.0.0.1/a')).rejects.toThrow('must be a repository URL');
});
