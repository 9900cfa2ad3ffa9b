import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { dateOf } from './date-header.ts'

/** What central said of itself. */
export type CentralAnswer = { readonly status: number; readonly date: Date | undefined }

/**
 * Asks central for its health, and for its clock. Who answers is not checked here, since a clock that is wrong is why nobody
 * could be trusted; nothing of this device is sent. Rejects with the error of the connection.
 */
export const askCentral = (url: string, signal: AbortSignal): Promise<CentralAnswer> => {
  const { promise, resolve, reject } = Promise.withResolvers<CentralAnswer>()
  const request = url.startsWith('https:') ? requestHttps : requestHttp
  request(`${url}/v1/health`, { signal, rejectUnauthorized: false, agent: false }, answer => {
    answer.resume()
    ;(answer.socket as TLSSocket).unref()
    resolve({ status: answer.statusCode ?? 0, date: dateOf(answer.headers.date) })
    answer.destroy()
  })
    .on('error', reject)
    .end()
  return promise
}
