import { HttpException } from '@nestjs/common';

/** A refusal with its details, one entry for each offending field. */
export class ApiError extends HttpException {
  public constructor(
    status: number,
    message: string,
    public readonly details: Readonly<Record<string, string>> | null = null,
    options?: { readonly cause?: unknown; readonly headers?: Readonly<Record<string, string>> },
  ) {
    super(message, status, { cause: options?.cause });
    this.headers = options?.headers ?? {};
  }

  public readonly headers: Readonly<Record<string, string>>;

  /** 400 for fields that are wrong: `details` says of each what it must be. */
  public static badFields(details: Readonly<Record<string, string>>): ApiError {
    const names = Object.keys(details);
    const [first] = names;
    const only = names.length === 1 && first !== undefined ? `: ${first} ${details[first] ?? ''}` : '';
    return new ApiError(400, `Invalid request${only}`, details);
  }
}
