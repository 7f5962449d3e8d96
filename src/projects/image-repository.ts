// The grammar of distribution/reference, without tag and digest: a domain (it has a dot or a port, or is localhost)
// and path components of at most 255 characters in all.
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const domain = `(?:localhost|${label}(?:\\.${label})+|${label}(?=:)|\\[[0-9a-fA-F:]+\\])(?::\\d{1,5})?`;
const repository = new RegExp(`^${domain}(?:/${component})+$`);

/** What is wrong with a text as a repository to push to, or null. */
export function imageRepositoryProblem(value: string): string | null {
  if (value.length <= 255 && repository.test(value)) return null;
  return 'must be a registry and a repository without a tag, like registry.example.com/team/app';
}
