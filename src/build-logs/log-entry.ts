export const logLevels = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

export type LogLevel = (typeof logLevels)[number];

/** One line of a build's log, as the public contract shows it. */
export interface LogEntry {
  readonly timestamp: string;
  readonly level: LogLevel;
  readonly message: string;
  /** `step` says which step of the build printed the line. */
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Makes an entry that is stamped now. */
export function logEntry(level: LogLevel, message: string, metadata: Record<string, string> | null = null): LogEntry {
  return { timestamp: new Date().toISOString(), level, message, metadata };
}

/** A caller's words as a part of one line: what a terminal would obey, and what breaks or reorders lines, is a blank. */
export function asPartOfLine(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]+/gu, ' ');
}
