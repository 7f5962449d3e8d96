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
