/** ONNX element type codes, for Cast. */
export const castTarget = { float32: 1, float64: 11, int32: 6, int64: 7 } as const
