import * as z from 'zod'

/** Most tensor names that a view lists; the number of all is beside them. */
export const mostKeptNames = 200

/**
 * Tensors that stay on the device: a pattern over their names, in which `*` stands for any characters, or `batch-norm` (parameters and
 * statistics of every batch normalisation), or `last-layers:N`.
 */
export const KeepLocal = z.string().min(1).max(256)

/** What of the model is each device's own, for one task. */
export const TaskPersonalisation = z.strictObject({
  /** Tensors whose values stay on the device and are there again in its next round; they override the model's manifest. */
  keepLocal: z.array(KeepLocal).min(1).max(64),
})
export type TaskPersonalisation = z.infer<typeof TaskPersonalisation>

/** What the patterns of a task were found to mean for its model. */
export const KeptLocal = z.object({
  /** As given, each with the number of tensors that it stands for. */
  patterns: z.array(z.object({ pattern: z.string(), tensors: z.int().positive() })),
  /** The tensors that stay on the device, in the order of the manifest: the first of them. */
  tensors: z.array(z.string()).max(mostKeptNames),
  /** All of them. */
  count: z.int().positive(),
})
export type KeptLocal = z.infer<typeof KeptLocal>
