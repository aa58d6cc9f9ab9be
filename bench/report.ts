/** `node bench/report.ts`: writes docs/performance.md and its pictures anew from docs/performance.json and bench/notes/. */
import { writePages } from './core/results-file.ts';

writePages();
