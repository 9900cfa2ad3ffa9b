import type { DeployedModel } from './deployed-model.ts'

/** The border to whatever serves predictions: which version of each model is in service, and when that changes. */
export type DeployedModels = {
  /** By model id. Every one passed its check on this device. */
  readonly serving: ReadonlyMap<string, DeployedModel>
  /** Path of one of a model's files, read-only; it stays as long as the model is in service. */
  fileOf(file: DeployedModel['weights']): string
  /** Called after every change of `serving`. */
  onChange(listener: () => void): Disposable
}
