import type { ManifestTensor } from '@tributary/tensors/manifest'

/** How central takes the mean update for a gradient, with the settings of a task. */
export type ServerOptimiser =
  | { readonly name: 'none'; readonly learningRate: number }
  | { readonly name: 'fedavgm'; readonly learningRate: number; readonly momentum: number }
  | {
      readonly name: 'fedadagrad'
      readonly learningRate: number
      readonly beta1: number
      readonly tau: number
    }
  | {
      readonly name: 'fedadam' | 'fedyogi'
      readonly learningRate: number
      readonly beta1: number
      readonly beta2: number
      readonly tau: number
    }

/** The mean update is the step. */
export const noServerOptimiser: ServerOptimiser = { name: 'none', learningRate: 1 }

/** Numbers that an optimiser keeps for each parameter: the momentum of FedAvgM, or m and v. */
export function momentCount({ name }: ServerOptimiser): 0 | 1 | 2 {
  if (name === 'none') return 0
  return name === 'fedavgm' ? 1 : 2
}

/** Running statistics are averaged and not trained, so no optimiser touches them (DESIGN section 7). */
export function isOptimised({ policy, buffer }: ManifestTensor): boolean {
  return policy === 'average' && buffer !== true
}
