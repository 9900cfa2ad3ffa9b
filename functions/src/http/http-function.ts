import { readFileSync } from 'node:fs'
import type { ApiFunction } from '@tributary/contracts/routes/route'
import { apiKeyRegister } from '../auth/api-key-register.ts'
import { apiTokenVerifier } from '../auth/api-tokens.ts'
import { createAuthenticator } from '../auth/authenticate.ts'
import { checkRegistered } from '../auth/certificate-register.ts'
import { limitFailures } from '../auth/limit-failures.ts'
import { replayGuard } from '../auth/replay-guard.ts'
import { servesCertificates } from '../auth/serves-certificates.ts'
import { signedRequestVerifier } from '../auth/signed-requests.ts'
import { coreSections, readConfig } from '../config.ts'
import { type Context, createContext } from '../context.ts'
import { rateLimiter } from '../rate-limit/rate-limiter.ts'
import type { Handlers } from './handler.ts'
import { httpApi } from './http-api.ts'

/**
 * The Lambda handler of an API function.
 * @param handlersOf called once for the life of the instance
 * @throws ConfigError
 */
export const httpFunction = <Function extends ApiFunction>(
  functionName: Function,
  handlersOf: (context: Context) => Handlers<Function>,
) => {
  const config = readConfig([...coreSections, 'apiTokens'])
  const context = createContext(config, functionName)
  return httpApi({
    functionName,
    handlers: handlersOf(context),
    database: context.database,
    authenticate: limitFailures(
      context,
      createAuthenticator({
        verifyToken: apiTokenVerifier(config.apiTokens.API_TOKENS),
        findApiKey: apiKeyRegister(context),
        checkRegistered: signedBy => checkRegistered(context.database, signedBy),
        checkUnused: replayGuard(context),
        ...(servesCertificates(functionName)
          ? { verifySigned: signedRequestVerifier(authority(), context.clock) }
          : {}),
      }),
    ),
    limit: rateLimiter(context),
    log: context.log,
    metrics: context.metrics,
  })
}

const authority = (): string => readFileSync(readConfig(['authority']).authority.AUTHORITY_CERT_FILE, 'utf8')
