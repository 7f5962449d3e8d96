import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ChaosDatabase } from './chaos-database';
import type { Finding } from './findings';
import type { Journal } from './journal';
import type { Ledger } from './ledger';

const shownLines = 40;
const longestLine = 500;

/** A finding with all that is needed to look for its cause. */
export async function explain(
  { kind, text, buildId }: Finding,
  ledger: Ledger,
  database: ChaosDatabase,
  journal: Journal,
): Promise<string> {
  const title = `\n${kind.toUpperCase()}: ${text}`;
  if (buildId === null) return [title, ...lastLines(journal.directory, 'events.log', '')].join('\n');
  const { recipe, followers, ...known } = ledger.entries.get(buildId) ?? { recipe: null, followers: [] };
  const told = followers.map(({ messages, breaks }) => ({ lines: messages.length, breaks }));
  const rows = async (statement: string): Promise<string[]> =>
    (await database.sql<object>(statement, [buildId])).map((row) => JSON.stringify(row));
  return [
    title,
    `What its client knows: ${JSON.stringify({ ...known, recipe: recipe?.name, followers: told })}`,
    'In the database:',
    ...(await rows('SELECT * FROM builds WHERE id = $1')),
    ...(await rows('SELECT * FROM build_logs WHERE build_id = $1')),
    ...(await rows(
      'SELECT first_line, line_count, right(lines, 300) AS "end" FROM build_log_chunks WHERE build_id = $1 ORDER BY first_line DESC LIMIT 10',
    )),
    ...readdirSync(journal.directory)
      .filter((name) => name.endsWith('.log'))
      .flatMap((name) => lastLines(journal.directory, name, buildId)),
  ].join('\n');
}

/** The last lines of a file that contain the text. */
function lastLines(directory: string, name: string, text: string): string[] {
  const lines = readFileSync(path.join(directory, name), 'utf8').trimEnd().split('\n');
  const found = lines.filter((line) => line.includes(text)).slice(-shownLines);
  return found.length === 0 ? [] : [`In ${name}:`, ...found.map((line) => line.slice(0, longestLine))];
}
