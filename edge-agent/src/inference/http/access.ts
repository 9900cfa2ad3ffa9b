import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { InferenceError } from '../inference-error.ts'
import { namesLoopback } from './listen-address.ts'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Who may ask: whoever has the token, where there is one; otherwise programs of this device, but no page in a browser of it.
 * @returns a check that throws InferenceError UNAUTHORISED, HOST_REFUSED
 */
export const accessFor = (token: string | undefined): ((request: IncomingMessage) => void) => {
  if (token === undefined) return refuseStrangers
  const expected = digest(token)
  return ({ headers }) => {
    const given = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
    if (timingSafeEqual(digest(given), expected)) return
    throw new InferenceError('UNAUTHORISED', 'Send the token of this device: "Authorization: Bearer …".')
  }
}

const refuseStrangers = ({ headers }: IncomingMessage): void => {
  if (namesLoopback(headers.host) && headers.origin === undefined) return
  throw new InferenceError('HOST_REFUSED', 'Only programs of this device may ask, by the name localhost.')
}
