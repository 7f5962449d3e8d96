// What every script shares: where the project is, how it speaks, and how it runs a program.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The project's root folder. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

export function say(line = '') {
  process.stdout.write(`${line}\n`);
}

/** The text as one line: what a person reads first when something is missing. */
export function oneLine(text) {
  return String(text).replace(/\s+/g, ' ').trim();
}

/** True when this file is the program that was started, not a module of another. */
export function isProgram(moduleUrl) {
  return process.argv[1] !== undefined && moduleUrl === pathToFileURL(realpathSync(process.argv[1])).href;
}

/** Runs a script's work. Whatever fails is told in one line, and the exit status is 1. */
export async function runProgram(work) {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${oneLine(error instanceof Error ? error.message : error)}\n`);
    process.exitCode = 1;
  }
}

const quietMs = 15 * 60_000;

/**
 * Runs a program to its end.
 * With `quiet` its output is gathered and returned, and it is ended after 15 minutes; else it has the terminal.
 * @throws Error when the program cannot be started.
 * @returns its exit status (1 after a signal) and the gathered text.
 */
export function run(command, args, { quiet = false, cwd = root, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env,
      ...(quiet ? { stdio: ['ignore', 'pipe', 'pipe'], timeout: quietMs } : { stdio: 'inherit' }),
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.once('error', (cause) => {
      reject(new Error(`${command} cannot be started: ${cause.message}`, { cause }));
    });
    child.once('close', (code) => {
      resolve({ code: code ?? 1, output });
    });
  });
}

/** Runs a file of an installed package with this Node: the same on every platform, without a shell. */
export function runPackage(file, args, options) {
  return run(process.execPath, [path.join(root, 'node_modules', file), ...args], options);
}
