/**
 * The rooms of `src/` and their nearest neighbours below. A room may import from these, from what these may import
 * from, and from itself: `config ← database ← events ← http ← rate-limits ← access ← audit ← users ← tenants ← auth, api-keys` and
 * `audit ← build-logs ← projects ← builds ← build-status ← execution ← maintenance`.
 */
export const neighbours: Readonly<Record<string, readonly string[]>> = {
  config: [],
  database: ['config'],
  events: ['database'],
  http: ['events'],
  'rate-limits': ['http'],
  access: ['rate-limits'],
  audit: ['access'],
  users: ['audit'],
  tenants: ['users'],
  auth: ['tenants'],
  'api-keys': ['tenants'],
  'build-logs': ['audit'],
  projects: ['build-logs'],
  secrets: ['projects'],
  builds: ['projects'],
  'build-status': ['builds'],
  execution: ['build-status', 'secrets'],
  maintenance: ['auth', 'execution'],
  health: ['maintenance'],
};

/** The rooms that a room may import from, itself among them; undefined for a room that the table does not name. */
export function mayImport(room: string): ReadonlySet<string> | undefined {
  const below = neighbours[room];
  if (below === undefined) return undefined;
  return new Set([room, ...below.flatMap((neighbour) => [...(mayImport(neighbour) ?? [])])]);
}
