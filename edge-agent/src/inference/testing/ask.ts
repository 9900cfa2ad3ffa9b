import { setTimeout as delay } from 'node:timers/promises'

/** Posts a body, an object as JSON. */
export const post = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    body: (body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body)) as string,
    headers,
  })

/** A request for rows of two FP32. */
export const x = (...rows: [number, number][]) => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [rows.length, 2], data: rows.flat() }],
})

/** Waits until something holds. */
export const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 60_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited 60 s for: ${what}`)
    await delay(10)
  }
}
