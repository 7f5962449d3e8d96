import { imageRepositoryProblem } from '../projects/image-repository';

/** What is wrong with a text as a registry or a part of one, or null. */
export function registryProblem(value: string): string | null {
  // A registry alone is one where it can be followed by a repository.
  if (value.length <= 253 && imageRepositoryProblem(`${value}/x`) === null) return null;
  return 'must be a registry or a part of one, like registry.example.com:5000 or registry.example.com/team';
}
