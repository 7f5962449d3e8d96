import { type BuildRepository, shell } from '../../test/support/build-repository';

/** The first character of a line that a ticking build prints, before its number, a blank and the time in microseconds. */
export const tickMark = '@';
export const numberDigits = 9;
/** Before the first line. */
export const firstNumber = 10 ** (numberDigits - 1);
/** Seconds since the epoch, a point, and microseconds. */
export const timeDigits = 17;

/** Where the message of such a line begins in its frame's payload: ids, times and the level are as long as each other. */
export const messageOffset =
  `{"build_id":"${'-'.repeat(36)}","timestamp":"${new Date(0).toISOString()}","level":"INFO","message":"`.length;

// The shell's own clock and output: a program a line could not keep up, and would gather what it prints. One machine has one
// clock, within a build and outside.
const script = `
  rate=$1
  first=${firstNumber}
  number=$first
  start=\${EPOCHREALTIME/./}
  while :; do
    now=\${EPOCHREALTIME/./}
    while [ $((number - first)) -lt $(((now - start) * rate / 1000000)) ]; do
      number=$((number + 1))
      echo "${tickMark}$number $EPOCHREALTIME"
    done
    usleep 1000
  done
`;

/** Makes a branch whose build prints this many lines a second until it is cancelled, each with its number and its time. */
export function tickingBranch(repository: BuildRepository, name: string, linesPerSecond: number): void {
  repository.branch(name, {
    Dockerfile: `${shell}COPY tick.sh /tick.sh\nRUN sh /tick.sh ${linesPerSecond}\n`,
    'tick.sh': script,
  });
}
