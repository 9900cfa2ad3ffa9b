import type { ApiCall } from '../http/api-call.ts'

/** The token of an `Authorization: Bearer` header. */
export const bearerToken = (call: ApiCall): string | undefined =>
  /^Bearer ([\x21-\x7e]+)$/i.exec(call.headers.get('authorization') ?? '')?.[1]
