import { fstatSync } from 'node:fs'

/**
 * The life of the process as one signal: aborted at SIGTERM, SIGINT, SIGHUP, and when a parent that holds our stdin as a
 * pipe closes it or dies. A service manager gives no pipe, so there stdin means nothing.
 * Dispose of it, or the pipe keeps the process alive.
 */
export const endSignal = (): Disposable & { readonly signal: AbortSignal } => {
  const controller = new AbortController()
  const end = (reason: string) => controller.abort(new Error(reason))
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => end(name))
  const piped = stdinIsPipe()
  if (piped) {
    process.stdin.on('error', () => end('the parent is gone'))
    process.stdin.once('end', () => end('the parent closed the pipe'))
    process.stdin.once('close', () => end('the parent closed the pipe'))
    process.stdin.resume()
  }
  return { signal: controller.signal, [Symbol.dispose]: () => void (piped && process.stdin.destroy()) }
}

const stdinIsPipe = (): boolean => {
  try {
    const stdin = fstatSync(0)
    return stdin.isFIFO() || stdin.isSocket()
  } catch {
    return false
  }
}
