import os from 'node:os';
import { isPublicAddress, publicAddressesOf } from './public-address';

describe('a public address', () => {
  it.each(['1.1.1.1', '8.8.8.8', '140.82.121.4', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111'])(
    'is %s',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  it.each([
    ...[
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.9.9.9',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
    ],
    ...['192.168.1.1', '198.19.0.1', '224.0.0.1', '255.255.255.255'],
    ...[
      '::',
      '::1',
      '::ffff:10.0.0.1',
      '::ffff:8.8.8.8',
      '::127.0.0.1',
      '64:ff9b::a00:1',
      'fc00::1',
      'fd00::2',
      'fe80::1',
    ],
    ...['ff02::1', '2002:7f00:1::', 'no address', ''],
  ])('is not %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it('is none of this host', () => {
    for (const each of Object.values(os.networkInterfaces()).flatMap((list) => list ?? [])) {
      expect(isPublicAddress(each.address)).toBe(false);
    }
  });

  it('is not found by another spelling of the loopback', async () => {
    for (const host of ['localhost', '0x7f.1', '2130706433', '127.1'])
      expect(await publicAddressesOf(host)).toEqual([]);
  });
});
