import { createHash } from 'node:crypto'
import { type DatasetDescription, descriptionLimits } from '@tributary/contracts/dataset-description'
import type { Policy } from '../policy/policy.ts'
import type { DescribedDataset } from './describe-dataset.ts'

/** All that central is told about data. */
export type ToldData = {
  readonly datasets: readonly { readonly name: string; readonly heldOut: boolean; readonly examples: number }[]
  /** Beside names and counts, in the order of names; those of which there is more to tell. */
  readonly descriptions: readonly DatasetDescription[]
  /** sha256 of the descriptions: by it a node tells whether it knows them. */
  readonly digest: string
}

/**
 * What central is told about the data of this device: what the declarations let out, less what the policy keeps, and no more than central
 * takes of one device. This is what the agent sends and what `datasets` prints.
 */
export const toldData = (found: readonly DescribedDataset[], share: Policy['share']): ToldData => {
  const candidates = found
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(described => fromMostToLeast(described, share))
    .filter(([most]) => most?.schema !== undefined || most?.labelCounts !== undefined)
    .slice(0, descriptionLimits.datasets)
  // The shape of each has its room, before any has more.
  const leastOf = (sizes: readonly DatasetDescription[]) =>
    Math.min(...sizes.map(description => (description.schema === undefined ? 0 : sizeOf(description))))
  let room = descriptionLimits.bytes - 2 - candidates.reduce((sum, sizes) => sum + leastOf(sizes), 0)
  const descriptions = candidates.flatMap(sizes => {
    const least = leastOf(sizes)
    const fitting = sizes.find(description => sizeOf(description) - least <= room)
    if (fitting === undefined) return []
    room -= sizeOf(fitting) - least
    return fitting
  })
  return {
    datasets: found.map(({ name, heldOut, examples }) => ({ name, heldOut, examples })),
    descriptions,
    digest: createHash('sha256').update(JSON.stringify(descriptions)).digest('hex'),
  }
}

/** What may go out, then less and less of it: names take the most room. */
const fromMostToLeast = (
  { name, schema, labelCounts }: DescribedDataset,
  share: Policy['share'],
): readonly DatasetDescription[] => {
  const counts = share.labelHistograms && labelCounts !== undefined ? { labelCounts } : {}
  if (schema === undefined) return [{ name, ...counts }]
  const { columns: _, label, ...shape } = schema
  const { classNames: __, ...kind } = label
  const nameless = { ...shape, label: kind }
  return [
    ...(share.names ? [{ name, schema, ...counts }] : []),
    { name, schema: nameless, ...counts },
    { name, schema: nameless },
  ]
}

/** With the comma behind it. */
const sizeOf = (description: DatasetDescription): number => JSON.stringify(description).length + 1
