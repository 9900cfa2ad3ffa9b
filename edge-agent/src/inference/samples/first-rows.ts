import type { Datasets } from '../../data/datasets.ts'
import type { FirstRows } from './dataset-rows.ts'

/** Rows of the owner's data sets that are held out. */
export const firstRowsOf =
  (datasets: Datasets): FirstRows =>
  async (name, most) => {
    await using source = await (await datasets.load(name, 'evaluation')).open()
    const rows = Math.min(most, source.examples)
    const order = Int32Array.from({ length: rows }, (_, row) => row)
    return { ...(await source.readRows(order, 0, rows)), rows }
  }
