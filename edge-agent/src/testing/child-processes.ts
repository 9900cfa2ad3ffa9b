import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Ids of the processes that a process started and that have not ended. Linux only. */
export const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`)
    .flatMap(thread => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' '))
    .filter(id => id.trim() !== '')
    .map(Number)
    .filter(isAlive)

/** Whether a process is there and does not merely wait for its parent to notice its end. */
export const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Whether a process has the ONNX runtime in its memory. */
export const hasRuntime = (pid: number | 'self'): boolean =>
  readFileSync(`/proc/${pid}/maps`, 'utf8').includes('libonnxruntime')

/** Waits for what only a look can tell. Rejects after a minute. */
export const until = async (what: string, holds: () => boolean): Promise<void> => {
  const deadline = performance.now() + 60_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await delay(20)
  }
}
