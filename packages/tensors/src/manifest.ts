import * as z from 'zod'
import { DTYPES, isFloatDtype } from './dtype.ts'
import { layoutSafetensors, type SafetensorsLayout } from './safetensors/layout.ts'
import { DEFAULT_LIMITS, MAX_NAME_LENGTH, MAX_TENSORS } from './safetensors/limits.ts'
import { METADATA_KEY } from './safetensors/parse-header.ts'
import { MAX_RANK, tensorBytes } from './shape.ts'

/** Most inputs or outputs of a model. */
const MAX_PORTS = 256

const Size = z.int().nonnegative()

const TensorName = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  .refine(name => name.isWellFormed(), 'has half a surrogate pair')
  .refine(name => name !== METADATA_KEY, `${METADATA_KEY} cannot name a tensor`)

/** What becomes of a tensor in a round. */
export const TensorPolicy = z.enum(['average', 'max', 'keep-local', 'frozen'])
export type TensorPolicy = z.infer<typeof TensorPolicy>

export const ManifestTensor = z
  .strictObject({
    name: TensorName,
    dtype: z.enum(DTYPES),
    shape: z.array(Size).max(MAX_RANK),
    policy: TensorPolicy,
    /** A running statistic: averaged under its own bound, outside norm, optimiser and noise. */
    buffer: z.boolean().optional(),
  })
  .refine(({ dtype, shape }) => tensorBytes(dtype, shape) !== null, {
    path: ['shape'],
    message: 'is too large to count',
  })
  .refine(({ dtype, policy }) => policy !== 'average' || isFloatDtype(dtype), {
    path: ['policy'],
    message: 'only floating-point tensors can be averaged; use max, keep-local or frozen',
  })
export type ManifestTensor = z.infer<typeof ManifestTensor>

/** An input or output of the forward pass; `null` stands for the batch dimension. */
export const ManifestPort = z.strictObject({
  name: TensorName,
  dtype: z.enum(DTYPES),
  shape: z.array(Size.nullable()).max(MAX_RANK),
})
export type ManifestPort = z.infer<typeof ManifestPort>

export const Loss = z.enum([
  'softmax-cross-entropy',
  'sigmoid-binary-cross-entropy',
  'mean-squared-error',
  'mean-absolute-error',
  'huber',
  'negative-log-likelihood',
])
export type Loss = z.infer<typeof Loss>

export const LabelKind = z.enum(['class-index', 'binary', 'real'])
export type LabelKind = z.infer<typeof LabelKind>

/** What a model consists of and what federated rounds do with each tensor: `manifest.json` of a bundle. */
export const Manifest = z.strictObject({
  format: z.literal('tributary.manifest/1'),
  /** In the order of the weights file. */
  tensors: uniquelyNamed(z.array(ManifestTensor).min(1).max(MAX_TENSORS))
    .refine(tensors => Number.isSafeInteger(totalBytes(tensors)), 'are too large together')
    .refine(
      tensors => mostHeaderBytes(tensors) <= DEFAULT_LIMITS.maxHeaderBytes,
      `are too many or their names too long: a header of ${DEFAULT_LIMITS.maxHeaderBytes} bytes could not describe them`,
    ),
  inputs: uniquelyNamed(z.array(ManifestPort).max(MAX_PORTS)),
  outputs: uniquelyNamed(z.array(ManifestPort).max(MAX_PORTS)),
  loss: Loss,
  labelKind: LabelKind,
})
export type Manifest = z.infer<typeof Manifest>

/** Header and offsets of the model's weights: safetensors without metadata, every tensor, in manifest order. */
export function weightsLayout(manifest: Manifest): SafetensorsLayout {
  return layoutSafetensors(manifest.tensors)
}

function uniquelyNamed<T extends { name: string }>(list: z.ZodArray<z.ZodType<T>>): z.ZodArray<z.ZodType<T>> {
  return list.check(context => {
    const names = new Set<string>()
    for (const [index, { name }] of context.value.entries()) {
      if (names.has(name)) {
        const message = 'is the name of another entry too'
        context.issues.push({ code: 'custom', input: name, path: [index, 'name'], message })
      }
      names.add(name)
    }
  })
}

function totalBytes(tensors: readonly ManifestTensor[]): number {
  return tensors.reduce((sum, { dtype, shape }) => sum + (tensorBytes(dtype, shape) ?? 0), 0)
}

/** Bytes of an entry beside name, dtype and shape: section, punctuation, and offsets of 16 digits. */
const ENTRY_BYTES = 96

/** No file about these tensors, in any order, has a longer header: what a manifest admits, every reader accepts. */
function mostHeaderBytes(tensors: readonly ManifestTensor[]): number {
  const encoder = new TextEncoder()
  return tensors.reduce((sum, { name, shape }) => {
    return sum + encoder.encode(JSON.stringify(name)).byteLength + JSON.stringify(shape).length + ENTRY_BYTES
  }, 0)
}
