import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorBody } from './error-body';
import { answerLast } from './raw-answer';
import { rawSecurityHeaders } from './security-headers';
import { traceIdOf } from './trace-id';

const refusals: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The request headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions of the request body are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to arrive'],
};

function refuse(socket: Duplex, status: number, message: string, traceId: string): void {
  answerLast(socket, status, {}, JSON.stringify(errorBody(status, message, traceId)));
}

/** The answer that is being sent on each connection, or was the last. */
const answers = new WeakMap<Duplex, ServerResponse>();

function onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] = refusals[error.code ?? ''] ?? [400, 'The request is not valid HTTP'];
  const answer = answers.get(socket);
  const isUnderWay = answer?.headersSent === true && !answer.writableFinished && !answer.destroyed;
  // What is wrong came behind a request that is still being answered: not in the midst of that.
  const reply = (): void => {
    if (socket.writable) refuse(socket, status, message, traceIdOf({}));
  };
  if (isUnderWay) answer.once('close', reply);
  else reply();
}

function onConnect(request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => {
    socket.destroy();
  });
  refuse(socket, 405, 'This service is no proxy', traceIdOf(request.headers));
}

function onExpectation(request: IncomingMessage, response: ServerResponse): void {
  const message = 'Nothing but 100-continue can be expected of this service';
  const body = JSON.stringify(errorBody(417, message, traceIdOf(request.headers)));
  const headers = {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    ...rawSecurityHeaders,
    Connection: 'close',
  };
  response.writeHead(417, headers).end(body);
}

/** Gives requests that Node refuses by itself, before any route sees them, the same envelope as all others. */
export function answerClientErrors(server: Server): void {
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    answers.set(socket, response);
  });
  server.on('clientError', onClientError);
  server.on('connect', onConnect);
  server.on('checkExpectation', onExpectation);
}
