import { inspect } from 'node:util';

/**
 * Why the service cannot start, in one line for the operator: something outside of the program must be put right.
 * It has no stack and shows no cause, because whoever prints it (Nest does so on its own) should print nothing else.
 */
export class StartError extends Error {
  public constructor(message: string, options?: ErrorOptions) {
    super(message.replaceAll(/\s*\n\s*/g, ' '), options);
    this.stack = this.message;
  }

  public [inspect.custom](): string {
    return this.message;
  }
}
