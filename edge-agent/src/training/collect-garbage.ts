import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Below it what waits for the collector is not worth the 20 ms that collecting takes. */
const largeBytes = 4 * 2 ** 20

let collect: (() => void) | undefined

/**
 * Collects dead arrays now where a job works with so many bytes of weights. By itself V8 lets 64 MB of them wait in
 * every thread, of models, updates and results that a round brings and the next one brings again.
 */
export const collectAfterLarge = (bytes: number): void => {
  if (bytes < largeBytes) return
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}
