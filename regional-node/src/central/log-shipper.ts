import type { LogEntry, NodeLogsRequest } from '@tributary/contracts/node-status'
import { routes } from '@tributary/contracts/routes'
import { v7 as uuidv7 } from 'uuid'
import { backoffMillis, type Clock, pause } from '../clock.ts'
import type { Journal } from '../journal/journal.ts'

const mostEntries = 500
/** Of the entries: what the route takes, less the frame around them. */
const mostBytes = routes.reportNodeLogs.maxBodyBytes - 1024
const gatherMillis = 500
const mostTries = 20

/** Sends the journal to central in batches. A batch keeps its id over its tries, so that central stores it once. */
export const shipJournal = async (
  journal: Journal,
  send: (request: NodeLogsRequest, signal: AbortSignal) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> => {
  let wake: () => void = () => {}
  journal.onEntry(() => wake())
  const entry = () =>
    journal.waiting > 0
      ? Promise.resolve()
      : new Promise<void>(resolve => {
          wake = resolve
        })
  const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
  while (!signal.aborted) {
    await Promise.race([entry(), stopped])
    await pause(clock, gatherMillis, signal).catch(() => {})
    const entries: LogEntry[] = journal.take(mostEntries, mostBytes)
    if (entries.length === 0) continue
    const request = { batch: uuidv7(), entries }
    for (let tries = 0; tries < mostTries; tries += 1) {
      try {
        await send(request, AbortSignal.timeout(4000))
        break
      } catch {
        if (signal.aborted) return
        await pause(clock, backoffMillis(tries, 500, 10_000), signal).catch(() => {})
      }
    }
  }
}
