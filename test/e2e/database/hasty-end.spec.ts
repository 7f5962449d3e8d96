import { Logger } from '@nestjs/common';
import { Notifications } from '../../../src/database/notifications';
import { waitUntil } from '../../support/wait-until';
import { HastyServer } from './hasty-server';

beforeAll(() => {
  Logger.overrideLogger(false);
});

describe('a connection that the server ends in the same packet as its answer', () => {
  it('is replaced when it is the one that sends wakes', async () => {
    const server = new HastyServer('sender', 'after sign-in');
    const notifications = new Notifications({ url: await server.start() });
    await notifications.onModuleInit();
    try {
      notifications.wake({ kind: 'queue' });
      await waitUntil(() => server.notifies > 0, 5_000);
    } finally {
      await notifications.onApplicationShutdown();
      await server.stop();
    }
  });

  it('is not taken for one that listens', async () => {
    const server = new HastyServer('listener', 'after LISTEN');
    const notifications = new Notifications({ url: await server.start() });
    try {
      await expect(notifications.onModuleInit()).rejects.toThrow('Connection terminated');
    } finally {
      await notifications.onApplicationShutdown();
      await server.stop();
    }
  });
});
