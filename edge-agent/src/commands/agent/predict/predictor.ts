import type { TensorPort } from '../../../inference/tensor.ts'

/** A deployed model that can be asked. */
export type Predictor = AsyncDisposable & {
  readonly inputs: readonly TensorPort[]
  /**
   * @param request JSON of an inference request of the Open Inference Protocol
   * @returns JSON of its response. Rejects with CommandError
   */
  infer(request: string): Promise<string>
}
