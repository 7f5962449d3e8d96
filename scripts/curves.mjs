// npm run curves [-- log-length tenant-size …] [-- --quick | --draw]: measures how costs grow, and writes figures, tables and plots
// into docs/performance. A quick run writes none; with --draw they are drawn anew from the figures that are there.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureBuild } from './build.mjs';
import { setUp } from './setup.mjs';
import { root, runProgram, say } from './terminal.mjs';
import { requireTypeScript } from './typescript.mjs';

const folder = path.join(root, 'docs', 'performance');

await runProgram(async () => {
  await setUp();
  const words = process.argv.slice(2);
  if (words.includes('--draw')) {
    for (const name of readdirSync(folder).filter((each) => each.endsWith('.json'))) {
      await draw(JSON.parse(readFileSync(path.join(folder, name), 'utf8')));
    }
    return;
  }
  await ensureBuild();
  const { measure } = requireTypeScript('bench', 'curves', 'main.ts');
  await measure(words, async (curve) => {
    if (words.includes('--quick')) return;
    await write(`${curve.id}.json`, JSON.stringify(curve));
    await draw(curve);
  });
});

async function draw(curve) {
  writeFileSync(path.join(folder, `${curve.id}.svg`), `${await plot(curve)}\n`);
  await setTable(curve);
}

/** As `npm test` wants files formatted. */
async function write(name, text) {
  const { format, resolveConfig } = await import('prettier');
  const filepath = path.join(folder, name);
  writeFileSync(filepath, await format(text, { ...(await resolveConfig(filepath)), filepath }));
}

/** A small plot for each measure, over the sizes, both by powers of ten. */
async function plot({ size, measures, points }) {
  const [vega, { compile }] = [await import('vega'), await import('vega-lite')];
  const plotOf = (measure) => ({
    title: { text: measure, fontWeight: 'normal' },
    width: 240,
    height: 150,
    data: {
      values: points
        .filter(({ values }) => values[measure] !== undefined)
        .map((point) => ({ size: point.size, value: point.values[measure] })),
    },
    mark: { type: 'line', point: true },
    encoding: {
      x: {
        field: 'size',
        type: 'quantitative',
        scale: { type: 'log', nice: false },
        axis: { title: null, values: points.map((point) => point.size), format: '~s' },
      },
      y: {
        field: 'value',
        type: 'quantitative',
        // One power of ten at least, so that what is flat looks flat.
        scale: { type: 'log', domain: powersAround(points.map(({ values }) => values[measure])) },
        axis: { title: null, tickCount: 4, format: '~g' },
      },
    },
  });
  const { spec } = compile({
    background: 'white',
    title: { text: `Over ${size}`, anchor: 'start', offset: 16 },
    concat: measures.map(plotOf),
    columns: 3,
  });
  return new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG();
}

function powersAround(values) {
  const known = values.filter((value) => value !== undefined);
  const least = 10 ** Math.floor(Math.log10(Math.min(...known)));
  return [least, Math.max(least * 10, 10 ** Math.ceil(Math.log10(Math.max(...known))))];
}

/** Puts the table of a curve between the marks that README.md has for it. */
async function setTable({ id, size, measures, points }) {
  const file = path.join(folder, 'README.md');
  const text = readFileSync(file, 'utf8');
  const { figure } = requireTypeScript('bench', 'harness', 'report.ts');
  const cell = (value) => (value === undefined ? '' : figure(value));
  const rows = [
    [size, ...measures],
    ['---:', ...measures.map(() => '---:')],
    ...points.map((point) => [point.size.toLocaleString('en'), ...measures.map((name) => cell(point.values[name]))]),
  ];
  const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const [begin, end] = [`<!-- table ${id} -->`, `<!-- end ${id} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table of ${id}.`);
  await write('README.md', `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`);
  say(`docs/performance/${id}.svg and its table are new.`);
}
