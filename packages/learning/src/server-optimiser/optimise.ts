import { momentCount, type ServerOptimiser } from './server-optimiser.ts'

/**
 * Moments before the first round: 0, and v = τ² as Reddi 2021, Algorithm 2 begins.
 * @param moments of any number of parameters; every one is replaced
 */
export function beginMoments(optimiser: ServerOptimiser, moments: Float64Array): void {
  moments.fill(0)
  if (!('tau' in optimiser)) return
  const start = optimiser.tau * optimiser.tau
  for (let i = 1; i < moments.length; i += 2) moments[i] = start
}

/**
 * One round of a server optimiser on a range of a tensor, element by element, in float64: Reddi et al. 2021 (arXiv 2003.00295),
 * Algorithm 2 without bias correction; FedAvgM is v ← βv + Δ, x ← x + ηv (Hsu et al. 2019, arXiv 1909.06335).
 * Only + − × ÷ and √ in the order written here, each of which IEEE 754 rounds in one way: the same bits on every machine.
 * @param delta the mean update Δ; replaced by the step that is added to x
 * @param moments of the same parameters, m and v side by side (FedAvgM: v alone); replaced by those after the round
 */
export function optimise(optimiser: ServerOptimiser, delta: Float64Array, moments: Float64Array): void {
  if (moments.length !== delta.length * momentCount(optimiser)) {
    throw new RangeError(`${moments.length} moments do not belong to ${delta.length} parameters of ${optimiser.name}`)
  }
  switch (optimiser.name) {
    case 'none':
      for (let i = 0; i < delta.length; i += 1) delta[i] = optimiser.learningRate * (delta[i] as number)
      break
    case 'fedavgm':
      withMomentum(optimiser, delta, moments)
      break
    case 'fedadagrad':
      adaptive(optimiser, delta, moments, (v, square) => v + square)
      break
    case 'fedadam': {
      const { beta2 } = optimiser
      const rest = 1 - beta2
      adaptive(optimiser, delta, moments, (v, square) => beta2 * v + rest * square)
      break
    }
    case 'fedyogi': {
      const rest = 1 - optimiser.beta2
      adaptive(optimiser, delta, moments, (v, square) => v - rest * square * Math.sign(v - square))
      break
    }
  }
}

function withMomentum(
  { learningRate, momentum }: { readonly learningRate: number; readonly momentum: number },
  delta: Float64Array,
  moments: Float64Array,
): void {
  for (let i = 0; i < delta.length; i += 1) {
    const velocity = momentum * (moments[i] as number) + (delta[i] as number)
    moments[i] = velocity
    delta[i] = learningRate * velocity
  }
}

/** @param next v of this round from that of the last and Δ² */
function adaptive(
  { learningRate, beta1, tau }: { readonly learningRate: number; readonly beta1: number; readonly tau: number },
  delta: Float64Array,
  moments: Float64Array,
  next: (v: number, square: number) => number,
): void {
  const rest = 1 - beta1
  for (let i = 0; i < delta.length; i += 1) {
    const change = delta[i] as number
    const m = beta1 * (moments[2 * i] as number) + rest * change
    const v = next(moments[2 * i + 1] as number, change * change)
    moments[2 * i] = m
    moments[2 * i + 1] = v
    delta[i] = (learningRate * m) / (Math.sqrt(v) + tau)
  }
}
