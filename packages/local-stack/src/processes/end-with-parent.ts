import { fstatSync } from 'node:fs'

/**
 * The life of a child process of the stack as one signal: aborted when the parent closes our stdin (also by dying), and at
 * SIGTERM, SIGINT and SIGHUP. Pass it down; when everything opened is closed, Node ends by itself.
 */
export function endWithParent(): AbortSignal {
  const controller = new AbortController()
  const end = (reason: string) => controller.abort(new Error(reason))
  if (stdinIsPipe()) {
    process.stdin.on('error', () => end('the parent is gone'))
    process.stdin.once('end', () => end('the parent closed the pipe'))
    process.stdin.once('close', () => end('the parent closed the pipe'))
    process.stdin.resume()
    controller.signal.addEventListener('abort', () => process.stdin.destroy(), { once: true })
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => end(signal))
  return controller.signal
}

/** Not a terminal and not /dev/null, whose end means nothing. */
function stdinIsPipe(): boolean {
  try {
    const stdin = fstatSync(0)
    return stdin.isFIFO() || stdin.isSocket()
  } catch {
    return false
  }
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
