import type { IncomingMessage } from 'node:http';
import { ApiError } from './api-error';

const key = /^[+/0-9A-Za-z]{22}==$/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The subprotocols that the client offers, in its order. */
export function offeredProtocols(request: IncomingMessage): string[] {
  const header = request.headers['sec-websocket-protocol'];
  return header === undefined ? [] : header.split(',').map((item) => item.trim());
}

/** True when the request asks for a WebSocket and for nothing else. */
export function wantsWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/**
 * Checks the client's side of the opening handshake (RFC 6455, section 4.2.1).
 * @throws ApiError 400, 405 or 426
 */
export function checkHandshake(request: IncomingMessage): void {
  if (request.method !== 'GET') {
    throw new ApiError(405, 'A WebSocket is opened with GET', null, { headers: { Allow: 'GET' } });
  }
  if (request.httpVersionMajor < 1 || (request.httpVersionMajor === 1 && request.httpVersionMinor < 1)) {
    throw new ApiError(400, 'A WebSocket needs HTTP/1.1');
  }
  if (request.headers['sec-websocket-version'] !== '13') {
    throw new ApiError(426, 'Only version 13 of the WebSocket protocol is spoken here', null, {
      headers: { 'Sec-WebSocket-Version': '13', Upgrade: 'websocket' },
    });
  }
  if (!key.test(request.headers['sec-websocket-key'] ?? '')) {
    throw ApiError.badFields({ 'Sec-WebSocket-Key': 'must be 16 bytes in base64' });
  }
  const protocols = offeredProtocols(request);
  if (!protocols.every((protocol) => token.test(protocol)) || new Set(protocols).size < protocols.length) {
    throw ApiError.badFields({ 'Sec-WebSocket-Protocol': 'must be a list of different tokens' });
  }
}
