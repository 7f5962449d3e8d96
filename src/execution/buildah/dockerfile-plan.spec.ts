import { checkTriggers, planDockerfile, type DockerfilePlan } from './dockerfile-plan';
import { BuildFailure } from '../image-builder';

const plan = (text: string, buildArgs: Record<string, string> = {}, hereDocuments = true): DockerfilePlan =>
  planDockerfile({ name: 'Dockerfile', text, buildArgs, hereDocuments });
const images = (text: string, buildArgs?: Record<string, string>): string[] =>
  plan(text, buildArgs).baseImages.map(({ image }) => image.qualified);

describe('steps', () => {
  it('counts every instruction of the one stage, and no comment or argument before it', () => {
    const text = '# escape=\\\nARG V=1\nFROM alpine:$V\n# note\nARG X\nRUN a \\\n  # inner\n  b\nCMD ["x"]\n';
    expect(plan(text)).toMatchObject({ stageCount: 1, stepCount: 4, stages: [{ number: 1, steps: 4 }] });
  });

  it('counts the stages that the last one needs by FROM, COPY --from or RUN --mount, by name or number', () => {
    const text = [
      'FROM scratch AS Zero',
      'FROM scratch AS one\nRUN a',
      'FROM scratch AS two',
      'FROM scratch AS unneeded\nRUN x',
      'FROM zero\nCOPY --from=1 /a /b\nRUN --mount=type=bind,from=two,source=/ true',
    ].join('\n');
    expect(plan(text)).toMatchObject({ stageCount: 5, stepCount: 7, baseImages: [] });
    expect(plan(text).stages.map(({ number }) => number)).toEqual([1, 2, 3, 5]);
  });
});

describe('base images', () => {
  it('resolves arguments before FROM: defaults, given values, and one by another', () => {
    const text = 'ARG REG=reg.test\nARG NAME=${REG}/app TAG\nFROM ${NAME}:${TAG:-1}\n';
    expect(images(text)).toEqual(['reg.test/app:1']);
    expect(images(text, { REG: 'other.test', TAG: '2' })).toEqual(['other.test/app:2']);
  });

  it('does not give a value to an argument that the Dockerfile does not declare', () => {
    expect(() => images('FROM $BASE\n', { BASE: 'alpine' })).toThrow('line 1: "$BASE" ("") names no image');
  });

  it('resolves words as the engine does: quotes, escapes, variables within defaults', () => {
    const text = `ARG A='one' B="two"'-three' C=fo\\ur\nARG D="\${A}-$B"\nFROM "reg.test/\${X:-\${D}-$C}:\${A:+v}1"\n`;
    expect(images(text)).toEqual(['reg.test/one-two-three-four:v1']);
    expect(images("ARG A='$X'\nFROM reg.test/a${B-b}${B+c}$B\n")).toEqual(['reg.test/ab:latest']);
    expect(images('\uFEFFARG A=a\r\nFROM $A \\\r\n  AS x\r\n')).toEqual(['docker.io/library/a:latest']);
  });

  it('lists each image once, also those of COPY --from and RUN --mount, and none of unneeded stages', () => {
    const text =
      'FROM debian AS unneeded\nFROM alpine\nCOPY --from=tools:1 /a /a\nRUN --mount=from=tools:1,target=/x true\nCOPY --from=alpine / /y\n';
    expect(images(text)).toEqual(['docker.io/library/alpine:latest', 'docker.io/library/tools:1']);
  });

  it('takes the name of a later stage for an image', () => {
    expect(images('FROM later AS first\nFROM first AS later\n')).toEqual(['docker.io/library/later:latest']);
  });

  it('keeps a platform other than our own', () => {
    const [foreign] = plan('FROM --platform=linux/s390x alpine\n').baseImages;
    const [own] = plan('FROM --platform=$BUILDPLATFORM alpine\n').baseImages;
    expect([foreign?.platform, own?.platform]).toEqual(['linux/s390x', null]);
  });
});

describe('what no build can succeed with', () => {
  it.each([
    ['', 'Dockerfile "Dockerfile": it has no FROM.'],
    ['RUN x\nFROM a\n', 'Dockerfile "Dockerfile": line 1: RUN stands before the first FROM.'],
    ['FROM a\n\nRUNN x\n', 'Dockerfile "Dockerfile": line 3: unknown instruction "RUNN".'],
    ['FROM\n', 'Dockerfile "Dockerfile": line 1: FROM says nothing.'],
    ['FROM a\nCOPY\n', 'Dockerfile "Dockerfile": line 2: COPY says nothing.'],
    ['FROM oci-archive:/x\n', 'Dockerfile "Dockerfile": line 1: "oci-archive:/x" names no image.'],
    ['FROM a\nCOPY --from=dir:/etc / /\n', 'Dockerfile "Dockerfile": line 2: "dir:/etc" names no image.'],
  ])('refuses %j', (text, message) => {
    expect(() => plan(text)).toThrow(new BuildFailure(message));
  });

  const elsewhere = 'oci-archive:/x';

  // Each was read by the engine, and by nobody before it, as the path of an archive.
  it.each([
    ['quotes side by side', `ARG B="oci-arch"'ive:/x'\nFROM $B\n`],
    ['an argument of the line before its own', `ARG C=${elsewhere}\nARG C=scratch B=$C\nFROM $B\n`],
    ['an argument that its own line gives', `ARG C=scratch B=\${C:-${elsewhere}}\nFROM $B\n`],
    ['an argument of the platform, which some engines lack', `FROM \${TARGETOS:-${elsewhere}}\n`],
    ['an escape of two characters', `# escape=\`\`\nFROM scratch\nCOPY a /\\\nFROM ${elsewhere}\n`],
    ['an escape behind another directive', `# x=y\n# escape=\`\nFROM scratch\nCOPY a /\`\nFROM ${elsewhere}\n`],
    ['an escape behind a comment', `# a note\n\n# ESCAPE = \` \nFROM scratch\nCOPY a /\`\nFROM ${elsewhere}\n`],
    ['a carriage return before the end of a line', `FROM scratch\nCOPY a /\\\r\r\nFROM ${elsewhere}\n`],
    ['a stage that seems needless', `FROM ${elsewhere}\nFROM scratch\nENV a=b\n`],
    ['the name of a stage', `FROM scratch AS ${elsewhere}\nFROM ${elsewhere}\n`],
    ['what is no here-document', `FROM scratch\nADD a <<E\nFROM ${elsewhere}\nE\n`],
    ['what is one within quotes alone', `FROM scratch\nRUN echo "a <<E"\nFROM ${elsewhere}\n`],
    ['a variable of the stage', `FROM scratch AS s\nFROM scratch\nARG X=${elsewhere}\nCOPY --from=\${X:-s} / /\n`],
    ['quotes within quotes', `FROM scratch\nCOPY --from='"${elsewhere}"' / /\n`],
    ['a needless stage that copies', `FROM scratch\nCOPY --from=${elsewhere} / /\nFROM scratch\nENV a=b\n`],
    ['ONBUILD', `FROM scratch AS s\nONBUILD COPY --from=${elsewhere} / /\nFROM s\nENV a=b\n`],
    ['words of another escape character', `# escape=\`\nARG B=${elsewhere} C=\\" B=x "\nFROM $B\n`],
  ])('refuses another place than a registry behind %s', (_, text) => {
    expect(() => plan(text, {}, false)).toThrow(BuildFailure);
  });

  it('refuses it in what the build is given', () => {
    for (const name of ['HTTP_PROXY', 'http_proxy', 'BASE']) {
      expect(() => plan(`FROM \${${name}:-scratch}\n`, { [name]: elsewhere })).toThrow('names no image');
      expect(plan(`FROM \${${name}:-scratch}\n`, { [name]: '' }).baseImages).toEqual([]);
    }
  });

  it.each([
    ['COPY --from=oci-archive:/x / /', '"oci-archive:/x" names no image'],
    ['COPY --from=$X / /', 'from= takes no variables'],
    ['RUN --mount=type=bind,from=dir:/etc,target=/y true', '"dir:/etc" names no image'],
    ['FROM dir:/etc', 'it is no instruction for a stage'],
    ['# escape=`', 'it is no instruction for a stage'],
    ['COPY a \\\n b', 'it is no instruction for a stage'],
  ])('refuses the trigger %j of a base image', (trigger, problem) => {
    expect(() => {
      checkTriggers('What the image adds,', `LABEL a=b\n${trigger}`);
    }).toThrow(problem);
  });

  it('lets pass what base images usually add', () => {
    const usual = ['COPY . /app', 'RUN npm install && npm cache clean', 'COPY --from=build /a /b', 'ARG NODE_ENV'];
    expect(() => {
      checkTriggers('What the image adds,', usual.join('\n'));
    }).not.toThrow();
    expect(() => {
      checkTriggers('What the image adds,', '');
    }).not.toThrow();
  });

  it('keeps the escape characters of the first line', () => {
    expect(plan('# escape=`\nFROM a AS `\n  b\nRUN c `\n  d\n').stepCount).toBe(2);
    expect(plan('# syntax=docker/dockerfile:1\n# escape=\\\nFROM a\nRUN c \\\n  d\n').stepCount).toBe(2);
  });

  it.each([
    ['FROM ${x\n', 'line 1: it has a variable that cannot be read before the build'],
    ['FROM ${x:-y\n', 'line 1: it has a variable without an end'],
    ['ARG A=${x#y}\nFROM a\n', 'line 1: it has a variable that cannot be read before the build'],
  ])('refuses %j', (text, message) => {
    expect(() => plan(text)).toThrow(message);
  });

  it('refuses here-documents where the engine does not know them', () => {
    const text = 'FROM a\nRUN <<END\necho hi\nEND\n';
    expect(() => plan(text, {}, false)).toThrow('line 2: here-documents (<<EOF) need buildah 1.33');
    expect(plan(text).stepCount).toBe(2);
    expect(() => plan('FROM a\nCOPY <<-"END" /x\nhi\nEND\n', {}, false)).toThrow('line 2: here-documents');
  });

  it.each(['$((1<<20))', "'1 << 3'", 'bash <<< word', '"a <<b"'])('takes %s for no here-document', (word) => {
    expect(plan(`FROM a\nRUN echo ${word}\nENV b\nFROM c\n`, {}, false).stageCount).toBe(2);
  });
});

describe('a hostile Dockerfile', () => {
  it('is refused when its variables grow without end', () => {
    const doubling = Array.from({ length: 40 }, (_, index) => `ARG a${index + 1}=$a${index}$a${index}\n`).join('');
    expect(() => plan(`ARG a0=0123456789\n${doubling}FROM x:$a40\n`)).toThrow(
      /^Dockerfile "Dockerfile": line \d+: its variables make too long a text\.$/,
    );
    expect(() => plan(`ARG a=${'x'.repeat(1_000)}\nFROM ${'$a'.repeat(100_000)}\n`)).toThrow('too long a text');
  });

  it('is refused when its variables are nested too deeply', () => {
    expect(() => plan(`FROM ${'${x:-'.repeat(10_000)}\n`)).toThrow('line 1: its variables are nested too deeply');
  });

  it('may chain as many stages as it has room for', () => {
    const chain = Array.from(
      { length: 15_000 },
      (_, index) => `FROM ${index === 0 ? 'scratch' : `s${index - 1}`} AS s${index}`,
    );
    expect(plan(chain.join('\n')).stages).toHaveLength(15_000);
  });
});
