import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * How it is known that a process serves: `port` answers on loopback, a `line` was written, or `check` resolves with true
 * (it may throw until then; it is asked again after 50 ms).
 */
export type Readiness =
  | { readonly port: number }
  | { readonly line: RegExp }
  | { readonly check: (signal: AbortSignal) => Promise<boolean> }

export interface LineSource {
  onLine(listener: (line: string) => void): () => void
}

/** Resolves when ready; rejects with the signal's reason when `signal` aborts first. */
export async function untilReady(readiness: Readiness, lines: LineSource, signal: AbortSignal): Promise<void> {
  if ('line' in readiness) return lineSeen(readiness.line, lines, signal)
  const check = 'port' in readiness ? () => portAnswers(readiness.port) : readiness.check
  let lastError: unknown
  for (;;) {
    if (signal.aborted) throw new Error(abortMessage(signal), { cause: lastError ?? signal.reason })
    try {
      if (await check(signal)) return
    } catch (error) {
      lastError = error
    }
    await delay(50, undefined, { signal }).catch(() => undefined)
  }
}

/** True when something accepts a TCP connection on this loopback port within a second. */
export function portAnswers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1000 })
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
  })
}

function lineSeen(pattern: RegExp, lines: LineSource, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => {
      end()
      signal.removeEventListener('abort', aborted)
      then()
    }
    const aborted = () => settle(() => reject(new Error(abortMessage(signal), { cause: signal.reason })))
    const end = lines.onLine(line => {
      if (pattern.test(line)) settle(resolve)
    })
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
  })
}

function abortMessage(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason)
}
