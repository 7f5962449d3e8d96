import type { Place } from './audit-events.repository';

const form = /^(\d{1,16})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** A page ends behind this event, for a client to hand back. */
export function cursorOf({ occurredMicros, id }: Place): string {
  return `${occurredMicros}_${id}`;
}

/** Null for what is no cursor. */
export function placeOf(cursor: string): Place | null {
  const [, occurredMicros, id] = form.exec(cursor) ?? [];
  return occurredMicros === undefined || id === undefined ? null : { occurredMicros, id };
}
