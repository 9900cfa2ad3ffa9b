import { createApiKey } from '../api-keys/create-api-key.ts'
import { getApiKey } from '../api-keys/get-api-key.ts'
import { listApiKeys } from '../api-keys/list-api-keys.ts'
import { revokeApiKey } from '../api-keys/revoke-api-key.ts'
import { exportAudit } from '../audit/export-audit.ts'
import { listAudit } from '../audit/list-audit.ts'
import { verifyAudit } from '../audit/verify-audit.ts'
import type { Context } from '../context.ts'
import type { Handlers } from '../http/handler.ts'
import { getDocs } from '../openapi/get-docs.ts'
import { getOpenApi } from '../openapi/get-openapi.ts'

export const platformHandlers = (
  context: Pick<Context, 'database' | 'audit' | 'ids' | 'clock'>,
): Handlers<'platform'> => ({
  getOpenApi: getOpenApi(),
  getDocs: getDocs(),
  createApiKey: createApiKey(context),
  listApiKeys: listApiKeys(context),
  getApiKey: getApiKey(context),
  revokeApiKey: revokeApiKey(context),
  listAudit: listAudit(context),
  exportAudit: exportAudit(context),
  verifyAudit: verifyAudit(context),
})
