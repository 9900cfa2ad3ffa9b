/** What a reader accepts from a file that it does not trust. */
export interface SafetensorsLimits {
  readonly maxHeaderBytes: number
  readonly maxTensors: number
  /** In UTF-16 units. */
  readonly maxNameLength: number
}

export const MAX_TENSORS = 65_536
export const MAX_NAME_LENGTH = 512

/** Room for a section prefix such as `delta/` beside the longest name of a manifest. */
const SECTION_LENGTH = 32

export const DEFAULT_LIMITS: SafetensorsLimits = {
  maxHeaderBytes: 1024 * 1024,
  maxTensors: MAX_TENSORS,
  maxNameLength: MAX_NAME_LENGTH + SECTION_LENGTH,
}
