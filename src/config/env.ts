import { isIP, isIPv4 } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { decodeKey } from './decode-key';

const list = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

const commaList = z.string().transform(list);
const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be between ${least} and ${most}`);
const absolutePath = z.string().transform((value) => path.resolve(value));

const origins = commaList.superRefine((values, context) => {
  for (const value of values) {
    if (!URL.canParse(value) || new URL(value).origin !== value) {
      context.addIssue({ code: 'custom', message: `"${value}" is not an origin like https://console.example.com` });
    }
  }
});

const issuer = z.string().refine((value) => {
  if (!URL.canParse(value) || /[?#@\s]/.test(value)) return false;
  const { protocol, hostname } = new URL(value);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}, 'must be an https:// URL without query and fragment, or an http:// one of this machine');

const isAddressOrNetwork = (value: string): boolean => {
  const [address = '', bits, ...more] = value.split('/');
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return most > 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
};

/** Keys of 256 bits. */
const keys = commaList.transform((values, context) => {
  const decoded = values.map(decodeKey);
  if (decoded.includes(null)) {
    context.addIssue({ code: 'custom', message: 'must list keys of 32 bytes, each as base64 or as 64 hex digits' });
  }
  return decoded.filter((key) => key !== null);
});

const roles = commaList.superRefine((values, context) => {
  if (values.length === 0 || values.some((value) => value !== 'api' && value !== 'worker')) {
    context.addIssue({ code: 'custom', message: 'must be "api", "worker" or "api,worker"' });
  }
});

/** Every setting of the service. `.env.example` says the same in words; a spec holds the two together. */
const schema = z
  .object({
    PORT: wholeNumber(0, 65_535).default(8080),
    HOST: z.string().min(1).default('127.0.0.1'),
    DATABASE_URL: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL')
      .optional(),
    DATA_DIR: absolutePath.default(path.resolve('data')),
    ROLES: roles.default(['api', 'worker']),
    JWT_SECRET: z
      .string()
      .refine((value) => Buffer.byteLength(value) >= 32, 'must have at least 32 bytes')
      .optional(),
    JWT_ISSUER: z.string().min(1).default('image-factory'),
    JWT_AUDIENCE: z.string().min(1).default('image-factory'),
    JWT_TTL_SECONDS: wholeNumber(1, 86_400).default(900),
    OIDC_ISSUER: issuer.optional(),
    OIDC_AUDIENCE: z.string().min(1).optional(),
    OIDC_CLIENTS: commaList.default([]),
    OIDC_TENANT_CLAIM: z.string().min(1).default('tenant_id'),
    OIDC_PERMISSIONS_CLAIM: z.string().min(1).default('permissions'),
    BOOTSTRAP_ADMIN_EMAIL: z.email('must be an e-mail address').optional(),
    BOOTSTRAP_ADMIN_PASSWORD: z.string().min(12, 'must have at least 12 characters').optional(),
    WORKER_SLOTS: wholeNumber(1, 256).default(os.availableParallelism()),
    MAX_RUNNING_PER_TENANT: wholeNumber(1, 1_000_000).optional(),
    MAX_RUNNING_PER_PROJECT: wholeNumber(1, 1_000_000).optional(),
    LEASE_SECONDS: wholeNumber(3, 3_600).default(30),
    QUEUE_TTL_SECONDS: wholeNumber(1, 31_536_000).default(86_400),
    CHECKOUT_TIMEOUT_SECONDS: wholeNumber(1, 86_400).default(600),
    PUSH_TIMEOUT_SECONDS: wholeNumber(1, 86_400).default(900),
    MAX_LOG_BYTES: wholeNumber(1_000, 1_000_000_000_000).default(64 * 1_024 * 1_024),
    SHUTDOWN_GRACE_SECONDS: wholeNumber(0, 86_400).default(30),
    BUILD_ENGINE: z.enum(['auto', 'buildah']).default('auto'),
    BUILD_USER: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be a user name')
      .default('image-factory'),
    BUILD_MEMORY_MB: wholeNumber(64, 16_777_216).default(2_048),
    BUILD_PIDS: wholeNumber(64, 4_194_304).default(1_024),
    BUILD_DISK_MB: wholeNumber(16, 1_000_000_000).default(10_240),
    MIN_FREE_DISK_MB: wholeNumber(0, 1_000_000_000).default(1_024),
    ARTIFACT_DIR: absolutePath.optional(),
    LOG_RETENTION_DAYS: wholeNumber(1, 36_500).optional(),
    ARCHIVE_RETENTION_DAYS: wholeNumber(1, 36_500).optional(),
    AUDIT_RETENTION_DAYS: wholeNumber(30, 36_500).optional(),
    CACHE_RETENTION_DAYS: wholeNumber(1, 36_500).default(30),
    CACHE_MAX_DISK_PERCENT: wholeNumber(1, 100).default(85),
    GIT_ALLOWED_PROTOCOLS: commaList
      .refine(
        (values) => values.every((value) => ['https', 'http', 'ssh', 'git'].includes(value)),
        'may list https, http, ssh, git',
      )
      .default(['https', 'ssh']),
    GIT_ALLOWED_FILE_ROOT: absolutePath.optional(),
    BUILD_EGRESS_ALLOW: commaList
      .transform((values) => values.map((value) => value.toLowerCase()))
      .refine((values) => values.every((value) => /^[^\s/@]+:\d{1,5}$/.test(value)), 'must list host:port')
      .default([]),
    BUILD_DNS: commaList
      .refine(
        (values) => values.every((value) => isIPv4(value) && !value.startsWith('127.')),
        'must list IPv4 addresses off the loopback',
      )
      .default([]),
    ALLOWED_ORIGINS: origins.default([]),
    TRUSTED_PROXIES: commaList
      .refine((values) => values.every(isAddressOrNetwork), 'must list IP addresses and networks like 10.0.0.0/8')
      .default([]),
    RATE_LIMIT_PER_MINUTE: wholeNumber(1, 1_000_000_000).default(600),
    REGISTRY_AUTH_FILE: absolutePath.optional(),
    REGISTRY_INSECURE: commaList.default([]),
    SECRETS_KEY: keys.default([]),
    MAX_STREAMS_PER_TENANT: wholeNumber(1, 1_000_000).default(1_000),
    LOG_LEVEL: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  })
  .superRefine((env, context) => {
    if (env.DATABASE_URL !== undefined && env.JWT_SECRET === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['JWT_SECRET'],
        message: 'is required when DATABASE_URL is set, so that every process signs with the same one',
      });
    }
    if ((env.OIDC_ISSUER === undefined) !== (env.OIDC_AUDIENCE === undefined)) {
      const [missing, given] =
        env.OIDC_ISSUER === undefined ? ['OIDC_ISSUER', 'OIDC_AUDIENCE'] : ['OIDC_AUDIENCE', 'OIDC_ISSUER'];
      context.addIssue({ code: 'custom', path: [missing], message: `is required when ${given} is set` });
    }
    if (env.OIDC_ISSUER === env.JWT_ISSUER) {
      context.addIssue({ code: 'custom', path: ['OIDC_ISSUER'], message: 'must not be JWT_ISSUER, who is ourselves' });
    }
  })
  .transform((env) => ({ ...env, ARTIFACT_DIR: env.ARTIFACT_DIR ?? path.join(env.DATA_DIR, 'artifacts') }));

/** The settings, parsed and typed. */
export type Env = z.output<typeof schema>;

/** The injection token of the settings: `constructor(@Inject(ENV) private readonly env: Env)`. */
export const ENV = Symbol('Env');

/** The names of all settings, in the order of the schema. */
export const settingNames: readonly string[] = Object.keys(schema.def.in.shape);

/**
 * Reads the settings. An empty value counts as unset.
 * @throws Error with one line that names every bad setting and what it must be.
 */
export function parseEnv(source: NodeJS.ProcessEnv): Env {
  const given = Object.fromEntries(
    Object.entries(source).filter(([name, value]) => settingNames.includes(name) && value !== ''),
  );
  const result = schema.safeParse(given);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
    throw new Error(`Bad settings: ${problems.join('; ')}.`);
  }
  return result.data;
}
