import type { NextFunction, Request, Response } from 'express';

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Takes a path whose percent-encoding is broken literally. The router would refuse it before the guards; so the route
 * sees it, asks for the token and the permission first, and then says which parameter is wrong.
 */
export function takeUndecodablePath(request: Request, _: Response, next: NextFunction): void {
  const [path = '', ...query] = request.url.split('?');
  if (!isDecodable(path)) request.url = [path.replaceAll('%', '%25'), ...query].join('?');
  next();
}
