import { fileURLToPath } from 'node:url'

/** The worker's package and its examples, from source. */
export const workerSource = fileURLToPath(new URL('../../python/src', import.meta.url))
export const workerExamples = fileURLToPath(new URL('../../python/examples', import.meta.url))
export const workerTests = fileURLToPath(new URL('../../python/tests', import.meta.url))
