import * as z from 'zod'

/** What training makes small. */
export const Loss = z.enum([
  'softmax-cross-entropy',
  'sigmoid-binary-cross-entropy',
  'mean-squared-error',
  'mean-absolute-error',
  'huber',
  'negative-log-likelihood',
])
export type Loss = z.infer<typeof Loss>
