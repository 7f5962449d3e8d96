import type { RequestHandler } from 'express';
import helmet from 'helmet';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

type Middleware = ReturnType<typeof helmet>;

/** Swagger UI brings its scripts as files, and its style in the page. */
const documentation = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      fontSrc: ["'self'"],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  strictTransportSecurity: false,
});

/** Answers are data: nothing in them may be run, framed or shown as a page. */
const data = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] },
  },
  strictTransportSecurity: false,
});

/** Takes down what a middleware sets. */
class HeaderRecorder extends ServerResponse {
  public readonly headers: [name: string, value: string][] = [];

  public override setHeader(name: string, value: number | string | readonly string[]): this {
    this.headers.push([name, String(value)]);
    return this;
  }
}

/** What a middleware sets, whatever the request. */
function headersOf(middleware: Middleware): HeaderRecorder['headers'] {
  const request = new IncomingMessage(new Socket());
  const recorder = new HeaderRecorder(request);
  middleware(request, recorder, (problem) => {
    if (problem instanceof Error) throw problem;
  });
  return recorder.headers;
}

const ofDocumentation = headersOf(documentation);
const ofData = headersOf(data);

/** The same for answers that Express never sees: refused upgrades, and what is no valid HTTP. */
export const rawSecurityHeaders: Readonly<Record<string, string>> = {
  ...Object.fromEntries(ofData),
  'Cache-Control': 'no-store',
};

/**
 * Headers against what browsers might do with our answers, found out once. HSTS is left to the proxy that has the
 * certificate.
 */
export const securityHeaders: RequestHandler = (request, response, next) => {
  const isDocumentation = /^\/api\/docs(?:\/|$)/.test(request.path);
  for (const [name, value] of isDocumentation ? ofDocumentation : ofData) response.setHeader(name, value);
  next();
};
