import type { InferenceTensor } from '../tensor.ts'
import { joinRows, rowsOf } from './join-rows.ts'
import { ModelFailure } from './model-failure.ts'
import type { ModelSession } from './model-session.ts'
import type { ModelDescription } from './protocol.ts'
import { unlikeRows } from './samples.ts'

/**
 * Finds by trial whether rows have the same bytes whatever they are joined with. That inputs and outputs have a free first dimension
 * does not say so: it may be a sequence, and normalisation over the batch mixes rows. Kernels for a single row may add in another order
 * than those for several, so two rows may be the least.
 * @param mostRows most rows that are ever joined
 */
export const joinsFrom = async (session: ModelSession, mostRows: number): Promise<ModelDescription['joinsFrom']> => {
  const free = [...session.inputs, ...session.outputs].every(({ shape }) => shape[0] === -1)
  if (!free || session.inputs.length === 0 || mostRows < 2) return undefined
  try {
    const rows = Math.max(5, mostRows)
    const inputs = unlikeRows(session.inputs, rows)
    const run = (tensors: readonly InferenceTensor[]) =>
      session.run(
        tensors,
        session.outputs.map(({ name }) => name),
      )
    const whole = await run(inputs)
    const part = (from: number, to: number) => inputs.map(tensor => rowsOf(tensor, from, to))
    const fits = (found: readonly InferenceTensor[], from: number, to: number): boolean =>
      whole.every((tensor, index) => tensor.shape[0] === rows && sameRows(found[index], tensor, from, to))
    for (const [from, to] of [
      [0, 2],
      [1, 4],
      [rows - 2, rows],
      [0, rows - 1],
    ] as const) {
      if (!fits(await run(part(from, to)), from, to)) return undefined
    }
    if (fits(await run(part(2, 3)), 2, 3) && fits(await run(part(rows - 1, rows)), rows - 1, rows)) return 1
    const padded = await run(joinRows([part(2, 3), part(2, 3)]))
    return fits(
      padded.map(tensor => rowsOf(tensor, 0, 1)),
      2,
      3,
    )
      ? 2
      : undefined
  } catch (error) {
    // A model that cannot run so many rows takes each request alone.
    if (error instanceof ModelFailure) return undefined
    throw error
  }
}

const sameRows = (found: InferenceTensor | undefined, whole: InferenceTensor, from: number, to: number): boolean => {
  const expected = rowsOf(whole, from, to)
  return found?.shape.join() === expected.shape.join() && Buffer.compare(found.bytes, expected.bytes) === 0
}
