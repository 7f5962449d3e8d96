// npm run fuzz [-- --requests N --seed N]: sends the API generated requests, good and hostile, and judges each answer.
import { runTestProgram } from './test-program.mjs';

await runTestProgram('fuzz');
