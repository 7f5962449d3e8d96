// npm run fuzz: the program itself. scripts/fuzz.mjs sets up what it needs.
import { OwnPostgres } from '../support/own-postgres';
import { Service } from '../support/service';
import { Fuzz } from './fuzz';
import { parseOptions } from './options';
import { fuzzSettings } from './world';

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const database = await OwnPostgres.start();
  const service = await Service.start({ databaseUrl: await database.database(), settings: fuzzSettings });
  try {
    const { barren, findings, table } = await Fuzz.run(options, service, say);
    say(table);
    if (barren.length > 0) say(`Never successful: ${barren.join(', ')}`);
    for (const finding of findings) say(finding);
    say(`${findings.length} findings`);
    process.exitCode = findings.length === 0 ? 0 : 1;
  } finally {
    await service.stop();
    await database.stop();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
