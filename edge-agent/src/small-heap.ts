import { setFlagsFromString } from 'node:v8'

/**
 * Keeps the space for young objects at its first size. V8 lets it grow to 48 MB in every thread that receives a model,
 * for speed that nobody waits for here: what is large in this process are typed arrays, which live elsewhere.
 */
export const keepHeapSmall = (): void => setFlagsFromString('--semi-space-growth-factor=1')
