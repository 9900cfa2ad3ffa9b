let cold = true

/** Says once in the life of an instance that it is its first invocation. */
export const coldStart = (): { ColdStarts?: 1 } => {
  if (!cold) return {}
  cold = false
  return { ColdStarts: 1 }
}
