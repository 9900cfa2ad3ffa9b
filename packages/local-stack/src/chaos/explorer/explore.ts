import type { TaskState } from './central.ts'
import type { Fault } from './scenario.ts'
import { World } from './world.ts'

export type Explored = {
  readonly seeds: number
  readonly failures: readonly { readonly seed: number; readonly error: Error }[]
  readonly states: ReadonlyMap<TaskState, number>
  readonly faults: ReadonlyMap<Fault, number>
  readonly receipts: number
  /** Receipts of updates that an earlier epoch had taken. */
  readonly sentAgain: number
  readonly commits: number
  readonly attempts: number
  /** Histories in which a shard changed its epoch. */
  readonly moved: number
}

/** Runs the histories of consecutive seeds. */
export const explore = (first: number, seeds: number): Explored => {
  const failures: { seed: number; error: Error }[] = []
  const states = new Map<TaskState, number>()
  const faults = new Map<Fault, number>()
  let [receipts, sentAgain, commits, attempts, moved] = [0, 0, 0, 0, 0]
  for (let seed = first; seed < first + seeds; seed += 1) {
    try {
      const outcome = new World(seed).run()
      states.set(outcome.state, (states.get(outcome.state) ?? 0) + 1)
      for (const [fault, count] of outcome.faults) faults.set(fault, (faults.get(fault) ?? 0) + count)
      receipts += outcome.receipts
      sentAgain += outcome.sentAgain
      commits += outcome.commits
      attempts += outcome.attempts
      if (outcome.epochs > 1) moved += 1
    } catch (error) {
      failures.push({ seed, error: error as Error })
    }
  }
  return { seeds, failures, states, faults, receipts, sentAgain, commits, attempts, moved }
}

/** For people; a failure says how to repeat it. */
export const tellExplored = ({
  seeds,
  failures,
  states,
  faults,
  receipts,
  sentAgain,
  commits,
  attempts,
  moved,
}: Explored): string => {
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
  const lines = failures
    .slice(0, 10)
    .map(({ seed, error }) => `seed ${seed}: ${error.stack}\n  repeat with: npm run explore -- --seed ${seed}\n`)
  lines.push(
    `${seeds} histories, ${failures.length} violations\n`,
    `  ends      ${list(states)}\n`,
    `  faults    ${list(faults)}\n`,
    `  ${attempts} attempts, ${commits} commits, ${receipts} receipts, ${sentAgain} of them again in a later epoch; shards moved in ${moved} histories\n`,
  )
  return lines.join('')
}
