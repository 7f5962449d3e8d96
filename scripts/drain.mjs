// npm run drain [-- --builds N --workers N]: shows that a small tenant is not behind a big one.
import { runTestProgram } from './test-program.mjs';

await runTestProgram('drain');
