import { errorCodeOf } from '../../src/http/error-body';
import type { Answer } from '../support/caller';
import { contract, type Operation, operationsOf, type Tree, treeAt } from '../support/openapi/document';
import { problemsBy } from '../support/openapi/validator';

const errorSchema = treeAt(contract, 'components', 'schemas', 'Error');

/** Beside what an operation documents (decisions 8 and 17a): a method, body, upgrade or size that HTTP itself refuses. */
const always = [400, 401, 403, 404, 405, 413, 414, 415, 417, 426, 429, 431];

/** What no answer of ours ever says. */
const inner =
  /node_modules|\.(?:ts|js):\d+|\bat [\w.]+ \(|QueryFailed|TypeORM|PostgreSQL|\bpg_|SELECT |INSERT |relation "|syntax error at|\/src\/|ECONNREFUSED|UnhandledPromise|Cannot read propert/;
const innerHeaders = ['server', 'x-powered-by'];

const promised = new Map(operationsOf(contract).map(({ id, docs }) => [id, docs]));

/** What is wrong with an answer, a sentence each. */
export function faultsOf(operation: Operation, answer: Answer, isRouted: boolean): string[] {
  const { status } = answer;
  const documented = treeAt(operation.docs.responses);
  const known = isRouted && String(status) in documented;
  // What stands in place of a parameter may make it another operation's path.
  const isOther = !isRouted && [200, 201, 204].includes(status);
  if (isOther) return innerFaults(answer);
  if (!known && !always.includes(status)) return [`status ${status} is not documented`];
  return [...bodyFaults(operation, answer, known ? treeAt(documented[status]) : {}), ...innerFaults(answer)];
}

function bodyFaults(operation: Operation, answer: Answer, response: Tree): string[] {
  const { status, text } = answer;
  if (status === 101) return [];
  if (status >= 400) return errorFaults(answer);
  if (status === 204) return text === '' ? [] : ['204 has a body'];
  const type = answer.headers.get('content-type') ?? '';
  const media = treeAt(response.content);
  const [wanted] = Object.keys(media);
  if (wanted === undefined) return [];
  if (!type.startsWith(wanted)) return [`its Content-Type is "${type}" in place of ${wanted}`];
  if (wanted !== 'application/json') return [];
  const ofContract = treeAt(promised.get(operation.id), 'responses', String(status), 'content', wanted, 'schema');
  return [treeAt(media[wanted], 'schema'), ofContract]
    .filter((schema) => Object.keys(schema).length > 0)
    .flatMap((schema) => problemsBy(schema, answer.body));
}

/** The envelope, with the code that belongs to the status. */
function errorFaults(answer: Answer): string[] {
  if (answer.text === '') return ['it has no envelope'];
  const type = answer.headers.get('content-type') ?? '';
  if (!type.startsWith('application/json')) return [`its Content-Type is "${type}"`];
  const { code } = answer.error;
  const wrongCode = code === errorCodeOf(answer.status) ? [] : [`${answer.status} has the code ${code}`];
  return [...problemsBy(errorSchema, answer.body), ...wrongCode];
}

function innerFaults({ text, headers, status }: Answer): string[] {
  const found = status >= 400 ? inner.exec(text)?.[0] : undefined;
  const told = innerHeaders.filter((name) => headers.has(name));
  return [...(found === undefined ? [] : [`it says "${found}"`]), ...told.map((name) => `it has the header ${name}`)];
}
