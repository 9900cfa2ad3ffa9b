import type { Tensor } from './tensor.ts'

/**
 * Runs a model once: how this pure package reaches a runtime. `feeds` by input name; resolves with the tensors named in
 * `fetches`. Rejects with whatever the runtime says about a model it cannot run.
 */
export type Runner = (
  modelBytes: Uint8Array,
  feeds: ReadonlyMap<string, Tensor>,
  fetches: readonly string[],
) => Promise<ReadonlyMap<string, Tensor>>
