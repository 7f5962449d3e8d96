// npm run bench [-- P3 P6] [-- --quick] [-- --check]: measures the goals of performance, each against its floor.
import { goals } from './goals';
import { isReached, type BenchOptions, type Check, type Goal } from './harness/goal';
import { tell } from './harness/report';

interface Arguments extends BenchOptions {
  readonly goals: readonly Goal[];
  /** Whether a miss makes the exit status 1. */
  readonly isCheck: boolean;
}

function parse(words: readonly string[]): Arguments {
  const flags = ['--quick', '--check'];
  const wanted = words.filter((word) => !flags.includes(word)).map((word) => word.toUpperCase());
  const known = goals.map(({ id }) => id);
  const unknown = wanted.filter((id) => !known.includes(id));
  if (unknown.length > 0) {
    throw new Error(
      `There is no ${unknown.join(', ')}. Usage: npm run bench -- [${known.join(' ')}] [--quick] [--check]`,
    );
  }
  return {
    goals: wanted.length === 0 ? goals : goals.filter(({ id }) => wanted.includes(id)),
    isQuick: words.includes('--quick'),
    isCheck: words.includes('--check'),
  };
}

async function main(): Promise<void> {
  const { goals: asked, isCheck, ...options } = parse(process.argv.slice(2));
  const checks: Check[] = [];
  for (const goal of asked) {
    process.stdout.write(`\n${goal.id}  ${goal.title}\n`);
    const found = await goal.measure(options);
    for (const check of found) process.stdout.write(tell(check, options));
    checks.push(...found);
  }
  const passed = checks.filter((check) => isReached(check, options)).length;
  process.stdout.write(`\n${passed} passed, ${checks.length - passed} failed\n`);
  if (isCheck && passed < checks.length) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
