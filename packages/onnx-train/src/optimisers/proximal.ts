import type { Emitter } from '../emitter.ts'
import type { FloatDType } from '../losses/loss.ts'
import type { AffineTerm } from './optimiser.ts'

/**
 * The proximal term ½μ‖W − W₀‖² keeps local weights near those the round began with: μ·W − μ·W₀ in the gradient, the
 * second part being the same in every step. Li et al. 2020 (FedProx), equation 2
 * @param anchor name of W₀
 */
export const emitProximal = (emitter: Emitter, anchor: string, mu: number, dtype: FloatDType): AffineTerm => ({
  decay: mu,
  drift: emitter.emit('Mul', [anchor, emitter.scalar(dtype, -mu)]),
})
