/** A build that was claimed, with milliseconds since the first one was started. */
export interface ClaimedBuild {
  readonly tenant: string;
  readonly status: string;
  readonly error: string | null;
  readonly startedMs: number;
  readonly claimedMs: number;
  readonly endedMs: number;
}

/**
 * A transaction counts for others from its commit, some time after the moment that it notes. A build may look ended, or
 * waiting, so much too early.
 */
const commitMs = 500;

/**
 * The claims that were unfair, a sentence each: somebody got a build although he ran more builds than somebody else
 * whose build was waiting. The builds come in the order of their claims.
 *
 * Fair claims by this rule keep a small tenant from standing behind a big one while there are more slots than big tenants:
 * as soon as he has a build waiting, every slot that becomes free is his until he runs as many as the big one does. With
 * fewer slots it takes turns as well (`test/e2e/queue/order.spec.ts`).
 */
export function unfairClaims(claims: readonly ClaimedBuild[]): string[] {
  const tenants = [...new Set(claims.map(({ tenant }) => tenant))];
  return claims.flatMap((claim, index) => {
    const at = claim.claimedMs;
    // Those that certainly run still, and those that may.
    const running = (tenant: string, endedAfterMs: number): number =>
      claims.slice(0, index).filter((build) => build.tenant === tenant && build.endedMs > endedAfterMs).length;
    const own = running(claim.tenant, at);
    const waits = (tenant: string): boolean =>
      claims.slice(index + 1).some((build) => build.tenant === tenant && build.startedMs < at - commitMs);
    return tenants
      .filter((tenant) => tenant !== claim.tenant && waits(tenant) && running(tenant, at - commitMs) < own)
      .map((tenant) => `Claim ${index + 1}: ${claim.tenant} ran ${own} builds, and ${tenant} waited with fewer`);
  });
}

/**
 * How many builds of bigger tenants were claimed at most while one build of `tenant` was waiting, beyond the claims that
 * its own tenant got in that time.
 */
export function mostOvertaking(claims: readonly ClaimedBuild[], tenant: string, bigger: readonly string[]): number {
  const excess = claims
    .filter((build) => build.tenant === tenant)
    .map((build) => {
      const meanwhile = claims.filter(
        ({ claimedMs }) => claimedMs > build.startedMs + commitMs && claimedMs < build.claimedMs,
      );
      const most = Math.max(0, ...bigger.map((name) => meanwhile.filter((other) => other.tenant === name).length));
      return most - meanwhile.filter((other) => other.tenant === tenant).length;
    });
  return Math.max(0, ...excess);
}

/** The middle of sorted numbers; the upper one of two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
