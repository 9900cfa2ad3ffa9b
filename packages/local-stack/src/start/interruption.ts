const parentCheckMillis = 500

/** Why the stack ends; a signal of a person, or the end of whoever started it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/**
 * Aborted by SIGINT, SIGTERM and SIGHUP, and when the parent is gone: a `kill -9` of npm tells nobody, but changes whose child
 * this process is.
 */
export const untilInterrupted = (): { readonly signal: AbortSignal } & Disposable => {
  const controller = new AbortController()
  const parent = process.ppid
  const onSignal = (name: NodeJS.Signals): void => controller.abort(new Interrupted(name))
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.on(name, onSignal)
  // A closed terminal must not end the process before it has ended what it started.
  const ignore = (): void => undefined
  process.stdout.on('error', ignore)
  process.stderr.on('error', ignore)
  const watch = setInterval(() => {
    if (process.ppid !== parent) controller.abort(new Interrupted('whoever started this is gone'))
  }, parentCheckMillis)
  watch.unref()
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearInterval(watch)
      for (const name of names) process.off(name, onSignal)
    },
  }
}
