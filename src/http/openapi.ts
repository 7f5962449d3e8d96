import type { INestApplication } from '@nestjs/common';
import { documentedError } from './error-responses.decorator';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

/** The document that is generated from the code, served as JSON, YAML and Swagger UI. */
export function openApiDocument(app: INestApplication, version: string): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('Image Factory - Build Execution API')
    .setDescription('Real-time build execution and monitoring API with WebSocket support')
    .setVersion(version)
    .setContact('API Support', '', 'support@imagefactory.io')
    .setLicense('Apache 2.0', 'https://www.apache.org/licenses/LICENSE-2.0.html')
    .setOpenAPIVersion('3.0.0')
    .addTag('Builds', 'Build execution and management endpoints')
    .addTag('Build Logs', 'Build log retrieval and real-time streaming')
    .addTag('Build Status', 'Build status and progress monitoring')
    .addTag('Projects', 'What is built: repository, Dockerfile, where the image goes')
    .addTag('Auth', 'Sign-in and tokens')
    .addTag('Users', 'The users of a tenant')
    .addTag('Tenants', 'Tenants, for platform admins')
    .addTag('API Keys', 'Credentials for machines')
    .addTag('Audit', 'Who did what, and who was refused what')
    .addTag('Health', 'Is the service alive and ready')
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description:
          'JWT token obtained from `/api/v1/auth/login` endpoint.\n\nFormat: `Authorization: Bearer <token>`\n\n' +
          'An API key of `/api/v1/api-keys` is taken in its place, and so is an access token of the outside issuer, if one is set.',
      },
      'BearerAuth',
    )
    .addSecurityRequirements('BearerAuth')
    .addServer('/api/v1')
    .build();
  const document = SwaggerModule.createDocument(app, config, { ignoreGlobalPrefix: true });
  for (const [path, item] of Object.entries(document.paths)) {
    if (isOutsidePrefix(path)) item.servers = [{ url: '/' }];
    for (const operation of [item.get, item.post, item.put, item.patch, item.delete]) {
      if (operation === undefined) continue;
      if (operation.requestBody !== undefined) Object.assign(operation.responses, bodyRefusals);
      if (operation.security?.length !== 0) addLimits(operation);
    }
  }
  return document;
}

/** Every operation that takes a body can refuse it before it is read. */
const bodyRefusals = { 413: documentedError(413), 415: documentedError(415) };

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

/** Who needs a credential is told with each answer how far the limit of requests is. */
function addLimits({ responses }: Operation): void {
  responses[429] ??= documentedError(429);
  for (const [status, response] of Object.entries(responses)) {
    if (response === undefined || '$ref' in response) continue;
    response.headers = {
      ...response.headers,
      ...limitHeaders,
      ...(status === '429' ? { 'Retry-After': retryAfter } : {}),
    };
  }
}

const retryAfter = { description: 'Seconds until another request may be made', schema: { type: 'integer' } };
const limitHeaders = {
  'X-RateLimit-Limit': { description: 'Requests that may be made in a minute', schema: { type: 'integer' } },
  'X-RateLimit-Remaining': { description: 'Requests that are left of them', schema: { type: 'integer' } },
  'X-RateLimit-Reset': { description: 'Seconds until the minute is over', schema: { type: 'integer' } },
};

/** Probes ask for health without the prefix of the API. */
export function isOutsidePrefix(path: string): boolean {
  return path.startsWith('/health/');
}

/** Swagger UI at /api/docs, which keeps the bearer token over a reload. */
export function serveDocument(app: INestApplication, document: OpenAPIObject): void {
  SwaggerModule.setup('api/docs', app, document, {
    jsonDocumentUrl: 'api/openapi.json',
    yamlDocumentUrl: 'api/openapi.yaml',
    customSiteTitle: 'Image Factory: Build Execution API',
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true, tryItOutEnabled: true },
  });
}
