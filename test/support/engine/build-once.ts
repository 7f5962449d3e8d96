// A worker of its own for tests: `node build-once.js '{"home": …, "files": …, "wishes": …}'` runs one build.
// It prints the log as `step: message`, then `result: {…}` or `failure: …`.
import { EngineRoom, type BuildWishes, type Files } from './engine-room';

/** What it is told by its argument. */
export interface BuildOnce {
  readonly home: string;
  readonly files: Files;
  readonly wishes: BuildWishes;
}

async function buildOnce({ home, files, wishes }: BuildOnce): Promise<string> {
  const room = await EngineRoom.openAt(home);
  await room.builder.sweep();
  const { job, signal } = await room.prepare(files, wishes);
  const missing = await room.builder.describe();
  process.stdout.write(`describe: ${JSON.stringify(missing)}\n`);
  const image = await room.builder.build(
    job,
    {
      line: (_, message, step) => void process.stdout.write(`${step}: ${message}\n`),
      stepsTotal: () => undefined,
      stepsDone: () => undefined,
    },
    signal,
  );
  return `result: ${JSON.stringify(image)}\n`;
}

const isBuildOnce = (value: unknown): value is BuildOnce =>
  typeof value === 'object' && value !== null && 'home' in value;

const task: unknown = JSON.parse(process.argv[2] ?? 'null');
if (isBuildOnce(task)) {
  void buildOnce(task)
    .catch((error: unknown) => `failure: ${error instanceof Error ? error.message : String(error)}\n`)
    .then((last) => process.stdout.write(last));
}
