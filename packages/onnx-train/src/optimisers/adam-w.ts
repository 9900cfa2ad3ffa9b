import { type AdamOptions, adam } from './adam.ts'
import type { Optimiser } from './optimiser.ts'

/** Adam whose weight decay bypasses the moments: W ← W·(1 − ηλ) − step. Loshchilov and Hutter 2019, Algorithm 2 */
export const adamW = (options: Omit<AdamOptions, 'decoupledDecay'>, weightDecay: number): Optimiser =>
  adam({ ...options, decoupledDecay: weightDecay })
