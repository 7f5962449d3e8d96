import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from './terminal.mjs';

/**
 * Runs a TypeScript file of this project in this process, as the tests do; what it forks reads TypeScript as well.
 * @returns its exports
 */
export function requireTypeScript(...names) {
  const register = path.join(root, 'test', 'support', 'register.cjs');
  if (!process.execArgv.includes(register)) process.execArgv.push('-r', register);
  const require = createRequire(import.meta.url);
  require(register);
  return require(path.join(root, ...names));
}
