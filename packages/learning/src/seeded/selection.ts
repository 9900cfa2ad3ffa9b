import { deriveSeed } from './seed.ts'

/** What a selection is drawn for. */
export interface SelectionSeed {
  readonly taskSeed: string
  readonly round: number
  readonly attempt: number
}

/**
 * Selects `count` of the candidates: those whose hash of (seed, round, attempt, label) is least. Uniform over the
 * candidates, and the same for the same set in whatever order its devices arrived.
 * @param label stable name of a candidate, unique among them
 */
export function selectDevices<T>(
  candidates: Iterable<T>,
  count: number,
  { taskSeed, round, attempt }: SelectionSeed,
  label: (candidate: T) => string,
): T[] {
  return Array.from(candidates, candidate => {
    return { candidate, hash: deriveSeed('selection', taskSeed, round, attempt, label(candidate)) }
  })
    .sort((a, b) => compareBytes(a.hash, b.hash))
    .slice(0, count)
    .map(({ candidate }) => candidate)
}

/**
 * How many to select so that `goal` of them report: goal · factor, rounded up, no more than there are.
 * @param factor 1 for none to spare
 */
export function overSelection(goal: number, factor: number, available: number): number {
  // 10 · 1.1 is a little over 11 in float64; nobody means 12.
  return Math.min(available, Math.ceil(goal * factor * (1 - 1e-12)))
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i += 1) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}
