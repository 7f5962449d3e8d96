import type { NestExpressApplication } from '@nestjs/platform-express';

/** How long a browser may keep the answer to a preflight. */
const maxAgeSeconds = 600;

/** Lets pages of these origins use the API; credentials travel in a header that they set, never in cookies. */
export function allowOrigins(app: NestExpressApplication, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.enableCors({
    origin: [...origins],
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'X-Request-Id'],
    exposedHeaders: [
      'Content-Disposition',
      'Retry-After',
      'X-Request-Id',
      'X-RateLimit-Limit',
      'X-RateLimit-Remaining',
      'X-RateLimit-Reset',
    ],
    maxAge: maxAgeSeconds,
  });
}
