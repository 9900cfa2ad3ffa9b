import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Below it what waits for the collector is not worth the 20 ms that collecting takes. */
const largeBytes = 4 * 2 ** 20

type Collect = (options?: {
  readonly type: 'major'
  readonly execution: 'sync'
  readonly flavor: 'last-resort'
}) => void

let known: Collect | undefined

const collector = (): Collect => {
  if (known === undefined) {
    setFlagsFromString('--expose-gc')
    known = runInNewContext('gc') as Collect
  }
  return known
}

/**
 * Collects dead arrays now where a job works with so many bytes of weights. By itself V8 lets 64 MB of them wait in
 * every thread, of models, updates and results that a round brings and the next one brings again.
 */
export const collectAfterLarge = (bytes: number): void => {
  if (bytes >= largeBytes) collector()()
}

/** Gives back what can be given back, when nothing will be wanted for some time: dead arrays and the room for new objects. */
export const collectForRest = (): void => collector()({ type: 'major', execution: 'sync', flavor: 'last-resort' })
