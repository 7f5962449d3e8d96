import { Inject } from '@nestjs/common';
import { OnEvent } from '@nestjs/event-emitter';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import type { BuildLogAppended } from '../events/build-events';
import { BuildLogsRepository } from './build-logs.repository';
import { CredentialWatch } from './credential-watch';
import { LogHub } from './log-hub';
import { WebSocketSink } from './log-sink';
import { LogStream } from './log-stream';
import { type LogStreamAdmission, logStreamPath, logStreamProtocol } from './log-stream.door';
import { LOG_STREAM_OPTIONS, type LogStreamOptions } from './log-stream-options';

/**
 * Streams the log lines that the internal EventEmitter publishes. Who gets here was let in by the door. Clients have
 * nothing to say: what they send is dropped unread, and a message over 4 KiB closes with 1009.
 */
@WebSocketGateway({
  path: logStreamPath,
  maxPayload: 4_096,
  perMessageDeflate: false,
  // A slow client needs time to read what lies before the close frame.
  closeTimeout: 300_000,
  handleProtocols: (offered: ReadonlySet<string>) => (offered.has(logStreamProtocol) ? logStreamProtocol : false),
})
export class LogStreamGateway implements OnGatewayConnection<WebSocket> {
  public constructor(
    private readonly hub: LogHub,
    private readonly repository: BuildLogsRepository,
    @Inject(LOG_STREAM_OPTIONS) private readonly options: LogStreamOptions,
  ) {}

  public handleConnection(client: WebSocket, request: IncomingMessage, admission: LogStreamAdmission): void {
    const { buildId, offset, identity, recheck } = admission;
    const sink = new WebSocketSink(client, request.socket);
    const start = { buildId, offset, expiresAt: identity.expiresAt };
    const stream = new LogStream(start, sink, this.repository, this.options);
    const watch = new CredentialWatch(recheck, sink, this.options);
    client.on('pong', (payload) => {
      stream.ponged(payload.toString());
    });
    client.once('close', () => {
      watch.stop();
      stream.stop();
      this.hub.leave(stream);
    });
    this.hub.join(stream);
    stream.wake();
  }

  @OnEvent('build.log.appended')
  public appended(event: BuildLogAppended): void {
    this.hub.appended(event);
  }
}
