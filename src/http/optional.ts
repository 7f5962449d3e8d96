import { ValidateIf } from 'class-validator';

/** A field that may be left out, but not be null. */
export const IfPresent = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);

/** A field for which null means the same as leaving it out, or has a meaning of its own. */
export const IfNotNull = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined && value !== null);
