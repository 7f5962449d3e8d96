import { emptyModel, type Model, type ModelBuild, step } from './model';
import type { Operation } from './operation';

/**
 * Looks for an order of the operations that the model allows: one after another, each at some moment between its own
 * beginning and end. If there is none, parallel clients saw what no sequence of single requests could have shown them.
 * The search is that of Wing and Gong (1993) with the memory of Lowe (2017): the same operations done with the same
 * result are not looked at twice.
 * @returns null when there is such an order, else the operations that do not fit into the longest one found
 */
export function misfits(operations: readonly Operation[], autoStart: boolean): Operation[] | null {
  const all = [...operations].sort((a, b) => a.from - b.from);
  const tried = new Set<string>();
  let longest: readonly Operation[] = [];

  const fits = (model: Model, left: readonly Operation[], done: readonly Operation[]): boolean => {
    if (left.length === 0) return true;
    if (done.length > longest.length) longest = done;
    const key = `${left.map(({ from }) => from).join()} ${keyOf(model)}`;
    if (tried.has(key)) return false;
    tried.add(key);
    const firstEnd = Math.min(...left.map(({ to }) => to));
    return left.some((operation) => {
      if (operation.from > firstEnd) return false;
      const next = step(model, operation);
      return (
        next !== null &&
        fits(
          next,
          left.filter((each) => each !== operation),
          [...done, operation],
        )
      );
    });
  };
  return fits(emptyModel(autoStart), all, []) ? null : all.filter((operation) => !longest.includes(operation));
}

const keys = new WeakMap<ModelBuild, string>();

/** The same for equal models. A build that did not change since is not written out again. */
function keyOf({ isDeleted, builds }: Model): string {
  const texts = builds.map((build) => {
    const text = keys.get(build) ?? JSON.stringify(build);
    keys.set(build, text);
    return text;
  });
  return `${String(isDeleted)} ${texts.join()}`;
}
