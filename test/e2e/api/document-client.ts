import { randomUUID } from 'node:crypto';
import { permissions } from '../../../src/access/permission';
import { World } from '../../factories/world';
import type { Api } from '../../support/api';
import type { Answer, Caller } from '../../support/caller';
import {
  contract,
  listOf,
  type Operation,
  operationsOf,
  resolved,
  type Tree,
  treeAt,
} from '../../support/openapi/document';
import { problemsBy } from '../../support/openapi/validator';

export const errorSchema = treeAt(contract, 'components', 'schemas', 'Error');

/** What is sent, how, and the field that the refusal must name. */
export type BadCase = readonly [what: string, request: () => Promise<Answer>, field?: string];

interface RequestParts {
  readonly id?: string;
  /** With its question mark. */
  readonly query?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client that knows every operation from the document that the service serves, so that a new one is known at once. */
export class DocumentClient {
  private constructor(
    public readonly world: World,
    public readonly caller: Caller,
    public readonly operations: readonly Operation[],
  ) {}

  public static async make(api: Api): Promise<DocumentClient> {
    const world = await World.make(api);
    const document = resolved(treeAt(await (await fetch(`${api.url}/api/openapi.json`)).json()));
    const operations = operationsOf(document).filter(({ path }) => !path.startsWith('/health/'));
    return new DocumentClient(world, world.with(...permissions), operations);
  }

  /** Sends a request that would be good but for the given parts. */
  public send(
    operation: Operation,
    { id = randomUUID(), query = '', body = goodBody(operation), headers }: RequestParts = {},
  ): Promise<Answer> {
    const path = operation.path.replace('{id}', id).replace('{name}', 'NAME');
    return this.caller.send(operation.method, path + query, body, headers);
  }
}

export function bodySchema({ docs }: Operation): Tree {
  return treeAt(docs.requestBody, 'content', 'application/json', 'schema');
}

export function parametersOf({ docs }: Operation, place: string): Tree[] {
  return listOf(docs.parameters)
    .map((parameter) => treeAt(parameter))
    .filter((parameter) => parameter.in === place);
}

/** A body that would be taken, made of the examples in the document. */
export function goodBody(operation: Operation): Tree | undefined {
  if (operation.docs.requestBody === undefined) return undefined;
  const { examples } = treeAt(operation.docs.requestBody, 'content', 'application/json');
  const [first] = Object.values(treeAt(examples));
  if (first !== undefined) return treeAt(treeAt(first).value);
  const properties = Object.entries(treeAt(bodySchema(operation).properties));
  return Object.fromEntries(
    properties.flatMap(([name, schema]) => {
      const { example } = treeAt(schema);
      return example === undefined ? [] : [[name, example]];
    }),
  );
}

/** Runs through cases and tells all of those that were not answered 4xx, in the envelope, with the field named. */
export async function expectRefusals(cases: readonly BadCase[]): Promise<void> {
  expect(cases).not.toHaveLength(0);
  const wrong: string[] = [];
  for (const [what, request, field] of cases) {
    const found = faults(await request(), field);
    wrong.push(...found.map((fault) => `${what.slice(0, 150)} ${fault}`));
  }
  expect(wrong).toEqual([]);
}

function faults(answer: Answer, field?: string): string[] {
  if (answer.status < 400 || answer.status > 499) return [`was answered ${answer.status}`];
  const problems = problemsBy(errorSchema, answer.body);
  const named = Object.keys(answer.error.details ?? {});
  if (field === undefined) return problems;
  const isNamed = named.length > 0 && named.every((name) => name === field || name.startsWith(`${field}.`));
  return isNamed ? problems : [...problems, `named ${JSON.stringify(named)} in its details`];
}
