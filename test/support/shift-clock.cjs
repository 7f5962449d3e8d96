// Shifts the wall clock of a process by TEST_CLOCK_SHIFT_MS: `node --require shift-clock.cjs`. Its timers and its
// monotonic clock stay true, as on a machine whose clock was set wrong.
'use strict';
const process = require('node:process');

const shiftMs = Number(process.env.TEST_CLOCK_SHIFT_MS);
const TrueDate = Date;

globalThis.Date = class Date extends TrueDate {
  constructor(...args) {
    if (args.length === 0) super(TrueDate.now() + shiftMs);
    else super(...args);
  }

  static now() {
    return TrueDate.now() + shiftMs;
  }
};
