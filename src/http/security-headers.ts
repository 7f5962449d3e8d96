import type { RequestHandler } from 'express';
import helmet from 'helmet';

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

/** Headers against what browsers might do with our answers. HSTS is left to the proxy that has the certificate. */
export const securityHeaders: RequestHandler = (request, response, next) => {
  const isDocumentation = /^\/api\/docs(?:\/|$)/.test(request.path);
  (isDocumentation ? documentation : data)(request, response, next);
};
