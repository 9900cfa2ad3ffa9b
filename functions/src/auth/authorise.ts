import { TributaryError } from '@tributary/contracts/errors'
import { type Access, roles } from '@tributary/contracts/routes/route'
import type { Principal } from './principal.ts'

/**
 * Whether a principal may use a route. Deny by default: whatever is not allowed here is forbidden.
 * @param params of the path, not validated yet
 * @throws TributaryError FORBIDDEN, NODE_MISMATCH
 */
export const authorise = (access: Access, principal: Principal, params: Readonly<Record<string, string>>): void => {
  if (access.kind === 'public') return
  if (access.kind === 'role') {
    if (principal.kind === 'token' && roles.indexOf(principal.role) >= roles.indexOf(access.atLeast)) return
    throw new TributaryError('FORBIDDEN')
  }
  if (principal.kind !== access.of) throw new TributaryError('FORBIDDEN')
  if (principal.id !== params[access.pathParameter]) {
    throw new TributaryError(access.of === 'regional-node' ? 'NODE_MISMATCH' : 'FORBIDDEN')
  }
}
