import type { ObjectRef } from '@tributary/contracts/ids'
import type { RoundDescriptor } from '@tributary/contracts/round'

/** What devices pull beside weights and manifest, where the work has it. */
export const othersOf = ({ graph, statistics }: Pick<RoundDescriptor, 'graph' | 'statistics'>): readonly ObjectRef[] =>
  [graph, statistics].filter(object => object !== null && object !== undefined)
