import { mountedSecrets } from './secret-mounts';

const secrets = new Map([
  ['TOKEN', 'one'],
  ['npmrc', 'two'],
  ['other', 'three'],
]);

const namesOf = (...lines: string[]): string[] =>
  mountedSecrets(lines.join('\n'), secrets).args.map((arg) => /^--secret=id=(.*),env=/.exec(arg)?.[1] ?? arg);

describe('mountedSecrets', () => {
  it('hands over what a mount names by its id or its target, and nothing else', () => {
    expect(namesOf('FROM scratch', 'RUN --mount=type=secret,id=TOKEN,target=/root/npmrc x')).toEqual([
      'TOKEN',
      'npmrc',
    ]);
    expect(namesOf('RUN --mount=type=secret,id=other --mount=id=TOKEN,type=secret,required=true x')).toEqual([
      'TOKEN',
      'other',
    ]);
    expect(namesOf('RUN --mount=type=secret,target=/run/npmrc x')).toEqual(['npmrc']);
    expect(namesOf('RUN --mount=type=secret,\\', 'id=TOKEN x')).toEqual(['TOKEN']);
  });

  it('hands over nothing for other mounts, absent secrets and mere words', () => {
    expect(namesOf('RUN --mount=type=cache,id=TOKEN,target=/x x')).toEqual([]);
    expect(namesOf('RUN --mount=type=secret,id=absent x', 'ENV TOKEN=x', 'RUN echo $TOKEN')).toEqual([]);
  });

  it('puts no value into an argument', () => {
    const { args, env } = mountedSecrets('RUN --mount=type=secret,id=TOKEN x', secrets);
    expect(args).toEqual(['--secret=id=TOKEN,env=IMAGE_FACTORY_SECRET_0']);
    expect(env).toEqual({ IMAGE_FACTORY_SECRET_0: 'one' });
  });
});
