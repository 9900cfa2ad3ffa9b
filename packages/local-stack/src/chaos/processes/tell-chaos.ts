import type { ChaosResult } from './run-chaos.ts'

/** For people, with the exit code that goes with it: 1 where anything was violated. */
export const tellChaos = (
  { tasks, violations, table, storage }: ChaosResult,
  seed: number,
): { readonly text: string; readonly exitCode: 0 | 1 } => ({
  text: [
    `\n${table}\n${storage}\n${tasks} tasks, ${violations.length} violations (seed ${seed})`,
    ...violations.map(violation => `  ${violation}`),
  ].join('\n'),
  exitCode: violations.length > 0 ? 1 : 0,
})
