import { createHash } from 'node:crypto'
import type { ApiFunction, Role } from '@tributary/contracts/routes/route'
import type { Cache } from '../adapters/cache.ts'
import { systemClock } from '../adapters/clock.ts'
import { uuidV7Ids } from '../adapters/ids.ts'
import { createAudit } from '../audit/audit.ts'
import { apiKeyRegister } from '../auth/api-key-register.ts'
import { apiTokenVerifier } from '../auth/api-tokens.ts'
import { createAuthenticator } from '../auth/authenticate.ts'
import { checkRegistered } from '../auth/certificate-register.ts'
import { limitFailures } from '../auth/limit-failures.ts'
import { replayGuard } from '../auth/replay-guard.ts'
import { signedRequestVerifier } from '../auth/signed-requests.ts'
import type { Database } from '../database/database.ts'
import { noRegistrar } from '../fleet/broker-registrar.ts'
import type { Handlers } from '../http/handler.ts'
import { httpApi } from '../http/http-api.ts'
import { createLog } from '../log.ts'
import { noMetrics } from '../metrics/metrics.ts'
import { createOutbox } from '../outbox/outbox.ts'
import { apiClient } from './api-client.ts'
import { checkAudited } from './check-audited.ts'

/** One bearer token a role, named after it. */
export const tokens = { viewer: 'viewer-token', operator: 'operator-token', admin: 'admin-token' } as const

/** As `API_TOKENS` holds them. */
export const knownTokens = (Object.entries(tokens) as [Role, string][]).map(([role, token]) => ({
  name: role,
  role,
  sha256: createHash('sha256').update(token).digest('hex'),
}))

/** What handlers need that no test wants otherwise; counts how often the relay was woken. */
export const testParts = (database: Database) => {
  const woken = { relay: 0 }
  const wakeRelay = async () => {
    woken.relay += 1
  }
  const log = createLog('silent', 'test')
  const outbox = createOutbox({ ids: uuidV7Ids, clock: systemClock, wakeRelay })
  return {
    database,
    log,
    clock: systemClock,
    ids: uuidV7Ids,
    audit: createAudit(systemClock),
    outbox,
    cache: { ...noCache, ready: async () => undefined },
    registrar: noRegistrar,
    line: { publish: async () => undefined },
    mqttUrl: null,
    startVersionJob: async () => undefined,
    metrics: noMetrics,
    woken,
  }
}

/** A cache that does not answer. */
const noCache: Omit<Cache, 'ready'> = {
  get: async () => null,
  set: async () => undefined,
  add: async () => null,
  addIfAbsent: async () => null,
}

/** The API of one function over a real database, with every answer held to its schema and every change to its audit entry. */
export const testApi = <Function extends ApiFunction>(
  functionName: Function,
  handlers: Handlers<Function>,
  {
    database,
    authorityPem,
    cache: given,
  }: { database: Database; authorityPem?: string; cache?: Partial<typeof noCache> },
) => {
  const cache = { ...noCache, ...given }
  return apiClient(
    httpApi({
      functionName,
      handlers,
      database,
      authenticate: limitFailures(
        { cache, clock: systemClock },
        createAuthenticator({
          verifyToken: apiTokenVerifier(knownTokens),
          findApiKey: apiKeyRegister({ database, cache, clock: systemClock }),
          checkRegistered: signedBy => checkRegistered(database, signedBy),
          checkUnused: replayGuard({ cache, clock: systemClock }),
          ...(authorityPem === undefined ? {} : { verifySigned: signedRequestVerifier(authorityPem, systemClock) }),
        }),
      ),
      limit: async () => undefined,
      log: createLog('silent', 'test'),
      metrics: noMetrics,
      checkAnswers: true,
      onTransaction: checkAudited,
    }),
  )
}
