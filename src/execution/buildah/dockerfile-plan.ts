import { DockerfileParser, From, Keyword, ModifiableInstruction, Onbuild, type Instruction } from 'dockerfile-ast';
import { GlobalArguments, ownPlatform } from './dockerfile-arguments';
import { wordsOf } from './dockerfile-words';
import { BuildFailure } from '../image-builder';
import { textProblem } from './dockerfile-text';
import { namesOtherPlace, parseImageName, type ImageName } from './image-name';

/** A stage that will run. */
export interface PlannedStage {
  /** Its place among all stages of the Dockerfile, from 1. */
  readonly number: number;
  /** How many instructions it has, `FROM` included. */
  readonly steps: number;
}

/** An image that must be there before the build begins. */
export interface BaseImage {
  /** As the Dockerfile has it, with variables replaced. */
  readonly name: string;
  readonly image: ImageName;
  /** Such as `linux/arm64`; null for this machine's own. */
  readonly platform: string | null;
}

/** What a build of a Dockerfile will do. */
export interface DockerfilePlan {
  /** Of all stages, also of those that the last one does not need. */
  readonly stageCount: number;
  /** Those that the last one needs, in order. */
  readonly stages: readonly PlannedStage[];
  /** Of all stages that run. */
  readonly stepCount: number;
  readonly baseImages: readonly BaseImage[];
}

export interface DockerfileSource {
  /** How messages name it. */
  readonly name: string;
  readonly text: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** False when the engine does not know here-documents. */
  readonly hereDocuments: boolean;
}

interface Stage {
  readonly alias: string | null;
  readonly instructions: Instruction[];
}

const keywords: ReadonlySet<string> = new Set(Object.values(Keyword));

/** Stands for `<<` where it begins no here-document: as long, and in no Dockerfile. */
const hidden = '\0\0';

/**
 * Reads a Dockerfile as the engine will.
 * @throws BuildFailure with file and line for what no build can succeed with.
 */
export function planDockerfile(source: DockerfileSource): DockerfilePlan {
  const failAt = (line: number | null, problem: string): never => {
    throw new BuildFailure(
      `Dockerfile "${source.name}":${line === null ? '' : ` line ${line}:`} ${problem.replaceAll(hidden, '<<')}.`,
    );
  };
  const fail: Fail = (at, problem) => failAt(at === null ? null : at.getRange().start.line + 1, problem);
  const unclear = textProblem(source.text);
  if (unclear !== null) failAt(unclear.line, unclear.problem);
  const args = new GlobalArguments(source.buildArgs);
  // The parser takes quadratic time for a first comment that has no end of line.
  const dockerfile = DockerfileParser.parse(`${withoutFalseHereDocuments(source).replace(/^\uFEFF/, '')}\n`);
  const escape = dockerfile.getEscapeCharacter();
  /** Whether words know another escape character than the usual as well depends on the engine. */
  const certain = (at: Instruction, text: string): string =>
    escape !== '\\' && /[\\`]/.test(text) ? fail(at, `"${text}" cannot be read before the build`) : text;
  const expanded: Expand = (at, written) => {
    if (!(at instanceof From)) return plain(at, written, fail);
    const readings = args.expand(certain(at, written), (problem) => fail(at, problem));
    const elsewhere = readings.find(namesOtherPlace);
    return elsewhere === undefined ? readings[0] : fail(at, noImage(written, elsewhere));
  };
  const stages: Stage[] = [];
  for (const instruction of dockerfile.getInstructions()) {
    const keyword = instruction.getKeyword();
    check(instruction, source, fail);
    if (instruction instanceof Onbuild) {
      for (const { at, written } of referencesOf(instruction.getTriggerInstruction())) plain(at, written, fail);
    }
    if (keyword === 'FROM') {
      stages.push({ alias: aliasOf(instruction), instructions: [instruction] });
    } else if (stages.length > 0) {
      stages.at(-1)?.instructions.push(instruction);
    } else if (keyword === 'ARG') {
      const words = certain(instruction, instruction.getArgumentsContent() ?? '');
      args.declare(words, (problem) => fail(instruction, problem));
    } else {
      fail(instruction, `${keyword} stands before the first FROM`);
    }
  }
  if (stages.length === 0) fail(null, 'it has no FROM');

  const { needed, baseImages } = resolve(stages, expanded, fail);
  const planned = stages
    .map(({ instructions }, index) => ({ number: index + 1, steps: instructions.length }))
    .filter((_, index) => needed.has(index));
  return {
    stageCount: stages.length,
    stages: planned,
    stepCount: planned.reduce((sum, { steps }) => sum + steps, 0),
    baseImages,
  };
}

/**
 * Refuses what of the instructions that a base image adds (ONBUILD) leads to files of the host. An image may have anything
 * as such an instruction, not only what an engine would have put there.
 * @throws BuildFailure that begins with `name`
 */
export function checkTriggers(name: string, text: string): void {
  const failAt = (line: number, problem: string): never => {
    throw new BuildFailure(`${name} line ${line}: ${problem}.`);
  };
  const fail: Fail = (at, problem) => failAt((at?.getRange().start.line ?? 0) + 1, problem);
  const strange = text.split('\n').findIndex((line) => !/^[A-Za-z]+\s/.test(line) || /^FROM\s|\r/i.test(line));
  if (text !== '' && strange >= 0) failAt(strange + 1, 'it is no instruction for a stage');
  for (const at of DockerfileParser.parse(`${text}\n`).getInstructions()) {
    for (const { written } of referencesOf(at)) plain(at, written, fail);
  }
}

type Fail = (at: Instruction | null, problem: string) => never;
type Expand = (at: Instruction, written: string) => string;

function check(instruction: Instruction, { hereDocuments }: DockerfileSource, fail: Fail): void {
  const keyword = instruction.getKeyword();
  if (!keywords.has(keyword)) fail(instruction, `unknown instruction "${instruction.getInstruction()}"`);
  if (keyword !== 'ONBUILD' && (instruction.getArgumentsContent() ?? '') === '') {
    fail(instruction, `${keyword} says nothing`);
  }
  if (!hereDocuments && hasHereDocument(instruction)) {
    fail(instruction, 'here-documents (<<EOF) need buildah 1.33 or newer on the worker');
  }
}

/** Finds the stages, by index, and the images that the last stage needs. */
function resolve(
  stages: readonly Stage[],
  expanded: Expand,
  fail: Fail,
): { readonly needed: ReadonlySet<number>; readonly baseImages: readonly BaseImage[] } {
  const byAlias = new Map<string, number[]>();
  stages.forEach(({ alias }, index) => {
    if (alias === null) return;
    const named = byAlias.get(alias);
    if (named === undefined) byAlias.set(alias, [index]);
    else named.push(index);
  });
  /** The stage that a name means for the one at `index`, which sees those before it alone; -1 for an image. */
  const stageBefore = (index: number, name: string, mayBeNumber: boolean): number => {
    const named = byAlias.get(name.toLowerCase()) ?? [];
    // On the way back, later ones are not asked for again.
    while ((named.at(-1) ?? -1) >= index) named.pop();
    const numbered = mayBeNumber && /^\d+$/.test(name) && Number(name) < index ? Number(name) : -1;
    return Math.max(named.at(-1) ?? -1, numbered);
  };

  const needed = new Set([stages.length - 1]);
  const images: BaseImage[][] = [];
  // Stages need earlier ones alone: on the way back, all that needs a stage was seen before it.
  for (const [index, stage] of [...stages.entries()].reverse()) {
    if (!needed.has(index)) {
      // Should the engine need it nevertheless, it must not find files of the host there.
      for (const { at, written } of references(stage)) expanded(at, written);
      continue;
    }
    const ofStage: BaseImage[] = [];
    for (const { at, written, ofPlatform, mayBeNumber } of references(stage)) {
      const name = expanded(at, written);
      const earlier = stageBefore(index, name, mayBeNumber);
      if (earlier >= 0) needed.add(earlier);
      if (earlier >= 0 || name === 'scratch') continue;
      const image = parseImageName(name) ?? fail(at, noImage(written, name));
      const wanted = ofPlatform === null ? null : expanded(at, ofPlatform);
      ofStage.push({ name, image, platform: wanted === ownPlatform ? null : wanted });
    }
    images.unshift(ofStage);
  }
  const byName = new Map(images.flat().map((each) => [each.image.qualified, each]));
  return { needed, baseImages: [...byName.values()] };
}

/** A stage's own variables, and quotes that the engine takes away twice, could make another place of it. */
function plain(at: Instruction, written: string, fail: Fail): string {
  if (/[$"'\\`]/.test(written)) {
    return fail(
      at,
      `"${written}": from= takes no variables or quotes; give the image a stage, as in FROM ${written} AS name`,
    );
  }
  return namesOtherPlace(written) ? fail(at, noImage(written, written)) : written;
}

function noImage(written: string, name: string): string {
  return `"${written}"${name === written ? '' : ` ("${name}")`} names no image`;
}

/**
 * The parser takes more for the beginning of a here-document than engines do, and would hide the lines up to its end: those
 * that engines run.
 */
function withoutFalseHereDocuments({ text, hereDocuments }: DockerfileSource): string {
  return text.replace(hereDocuments ? /(?<!(?:^|\s)\d*)<<|<<(?!-?[^<\s])/g : /<</g, hidden);
}

/** Of an engine that does not know them: it would take their lines for instructions. */
function hasHereDocument(instruction: Instruction): boolean {
  const words = wordsOf(instruction.getArgumentsContent() ?? '');
  return (
    ['RUN', 'COPY', 'ADD'].includes(instruction.getKeyword()) && words.some((word) => /^\d*\0\0-?[^<\0]+$/.test(word))
  );
}

function aliasOf(instruction: Instruction): string | null {
  return /\sas\s+(\S+)$/i.exec(instruction.getArgumentsContent() ?? '')?.[1]?.toLowerCase() ?? null;
}

interface Reference {
  readonly at: Instruction;
  readonly written: string;
  readonly ofPlatform: string | null;
  /** `COPY --from=0` means the first stage, `FROM 0` an image. */
  readonly mayBeNumber: boolean;
}

/** The image or stage that a `FROM` names; the blanks are the engine's. */
function nameIn(from: Instruction): string {
  return /^[^\t\v\f\r\n ]+/.exec(from.getArgumentsContent() ?? '')?.[0] ?? '';
}

/** Every image or stage that a stage takes something from. */
function references(stage: Stage): Reference[] {
  return stage.instructions.flatMap(referencesOf);
}

function referencesOf(at: Instruction | null): Reference[] {
  if (at instanceof From) {
    const written = nameIn(at);
    return [{ at, written, ofPlatform: at.getPlatformFlag()?.getValue() ?? null, mayBeNumber: false }];
  }
  if (!(at instanceof ModifiableInstruction)) return [];
  const flags = at.getFlags();
  const sources = flags.map((flag) => {
    if (flag.getName() === 'from') return flag.getValue();
    return flag.getName() === 'mount' ? /(?:^|,)from=([^,]*)/.exec(flag.getValue() ?? '')?.[1] : null;
  });
  return sources
    .filter((written) => typeof written === 'string' && written !== '')
    .map((written) => ({ at, written: String(written), ofPlatform: null, mayBeNumber: true }));
}
