import fc from 'fast-check';
import { BuildFailure } from '../image-builder';
import { planDockerfile } from './dockerfile-plan';
import { checkPolicy } from './dockerfile-policy';
import { mountedSecrets } from './secret-mounts';

// Whatever a repository has as its Dockerfile: it is read, or refused in words for its owner, and soon.

const largest = 256 * 1_024;

/** Reads it in every way that a build does. @throws what is not a refusal */
function read(text: string, hereDocuments: boolean): void {
  try {
    checkPolicy({ name: 'Dockerfile', text, version: [1, 28, 2] });
    mountedSecrets(text, new Map([['token', 'secret']]));
    planDockerfile({ name: 'Dockerfile', text, buildArgs: { A: '$B', __proto__: 'x' }, hereDocuments });
  } catch (error) {
    if (!(error instanceof BuildFailure)) throw error;
  }
}

const piece = fc.oneof(
  fc.constantFrom(
    ...[
      'FROM ',
      'FROM scratch\n',
      'ARG A=',
      'RUN ',
      'RUN --mount=type=cache,target=/',
      'COPY --from=',
      'ONBUILD ',
      'LABEL ',
    ],
    ...[
      '# escape=`\n',
      '# syntax=',
      'HEALTHCHECK ',
      'ENV a ',
      'AS b',
      'constructor',
      '__proto__',
      '--',
      '--mount=',
      'id=',
    ],
    ...[
      '$A',
      '${A',
      '${A:-',
      '${A:+',
      '}',
      '\\',
      '`',
      '\\\n',
      '`\n',
      '"',
      "'",
      '[',
      ']',
      ',',
      '=',
      '<<E',
      '<<-"E"\n',
      'E\n',
      '<<',
    ],
    ...[
      '\n',
      '\r\n',
      '\r',
      ' ',
      '\t',
      '\0',
      '\u0085',
      '\u00a0',
      '\u2028',
      '\uFEFF',
      '\ud800',
      'é',
      '🎉',
      '#',
      '//',
      '../',
      '0',
      '1',
    ],
  ),
  fc.string({ maxLength: 8, unit: 'binary' }),
);

it('throws nothing but refusals', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.boolean(), (pieces, hereDocuments) => {
      read(pieces.join(''), hereDocuments);
      read(`FROM scratch\n${pieces.join('')}`, hereDocuments);
    }),
    { numRuns: 3_000 },
  );
});

it.each(['FROM a AS b\n', 'ARG a=${a:-', '#', 'COPY --from=0 a b\n'])(
  'takes bounded time for a text of %j alone',
  (part) => {
    const text = part.repeat(largest / part.length);
    const begun = performance.now();
    read(text, true);
    expect(performance.now() - begun).toBeLessThan(20_000);
  },
);
