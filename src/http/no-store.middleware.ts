import type { NextFunction, Request, Response } from 'express';

/** Answers belong to one caller and are old at once: nothing between it and us may keep them. */
export function noStore(_: Request, response: Response, next: NextFunction): void {
  response.setHeader('Cache-Control', 'no-store');
  next();
}
