import * as z from 'zod'

const learningRate = z.number().positive().max(1000)
const decay = z.number().min(0).lt(1)
const tau = z.number().positive().max(1)

/**
 * Server optimisers over the mean update, Reddi et al. 2021 (https://arxiv.org/abs/2003.00295), Algorithm 2 without bias
 * correction; FedAvgM after Hsu et al. 2019 (https://arxiv.org/abs/1909.06335). Defaults of the papers.
 */
export const ServerOptimizer = z
  .discriminatedUnion('name', [
    z.strictObject({ name: z.literal('none'), learningRate: learningRate.default(1) }),
    z.strictObject({ name: z.literal('fedavgm'), learningRate: learningRate.default(1), momentum: decay.default(0.9) }),
    z.strictObject({
      name: z.literal('fedadagrad'),
      learningRate: learningRate.default(0.1),
      beta1: decay.default(0),
      tau: tau.default(1e-3),
    }),
    z.strictObject({
      name: z.enum(['fedadam', 'fedyogi']),
      learningRate: learningRate.default(0.1),
      beta1: decay.default(0.9),
      beta2: decay.default(0.99),
      tau: tau.default(1e-3),
    }),
  ])
  .prefault({ name: 'none' })
export type ServerOptimizer = z.infer<typeof ServerOptimizer>
