// npm run curves [-- log-length tenant-size …] [-- --quick]: measures how costs grow, and writes figures, tables and plots into
// docs/performance. A quick run writes none.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { root, runProgram, say } from './terminal.mjs';

const folder = path.join(root, 'docs', 'performance');

await runProgram(async () => {
  await setUp();
  await ensureBuild();
  const words = process.argv.slice(2);
  const register = path.join(root, 'test', 'support', 'register.cjs');
  process.execArgv.push('-r', register);
  const require = createRequire(import.meta.url);
  require(register);
  const { measure } = require(path.join(root, 'bench', 'curves', 'main.ts'));
  await measure(words, async (curve) => {
    if (words.includes('--quick')) return;
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `${curve.id}.json`), `${JSON.stringify(curve, null, 2)}\n`);
    writeFileSync(path.join(folder, `${curve.id}.svg`), await plot(curve));
    setTable(curve);
  });
});

/** A small plot for each measure, over the sizes, both by powers of ten. */
async function plot({ size, measures, points }) {
  const [vega, { compile }] = [await import('vega'), await import('vega-lite')];
  const values = points.flatMap((point) =>
    measures
      .filter((measure) => point.values[measure] !== undefined)
      .map((measure) => ({ size: point.size, measure, value: point.values[measure] })),
  );
  const { spec } = compile({
    background: 'white',
    data: { values },
    facet: { field: 'measure', type: 'nominal', title: null, sort: [...measures] },
    columns: 3,
    spec: {
      width: 240,
      height: 160,
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'size', type: 'quantitative', title: size, scale: { type: 'log' } },
        y: { field: 'value', type: 'quantitative', title: null, scale: { type: 'log' } },
      },
    },
    resolve: { scale: { y: 'independent' } },
  });
  return new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG();
}

/** Puts the table of a curve between the marks that README.md has for it. */
function setTable({ id, size, measures, points }) {
  const file = path.join(folder, 'README.md');
  const text = readFileSync(file, 'utf8');
  const rows = [
    [size, ...measures],
    ['---:', ...measures.map(() => '---:')],
    ...points.map((point) => [point.size.toLocaleString('en'), ...measures.map((name) => figure(point.values[name]))]),
  ];
  const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const [begin, end] = [`<!-- table ${id} -->`, `<!-- end ${id} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table of ${id}.`);
  writeFileSync(file, `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`);
  say(`docs/performance/${id}.svg and its table are new.`);
}

/** With three digits. */
function figure(value) {
  if (value === undefined) return '';
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
