/**
 * Why the service cannot start, in one line for the operator: something outside of the program must be put right.
 * Its stack is that line, because whoever prints the error (Nest does so on its own) should print nothing else.
 */
export class StartError extends Error {
  public constructor(message: string, options?: ErrorOptions) {
    super(message.replaceAll(/\s*\n\s*/g, ' '), options);
    this.stack = this.message;
  }
}
