import { TributaryError } from '@tributary/contracts/errors'
import { type Role, type Route, roles } from '@tributary/contracts/routes/route'
import { scopeOf } from '@tributary/contracts/routes/scope'
import type { Principal } from './principal.ts'

/**
 * Whether a principal may use a route. Deny by default: whatever is not allowed here is forbidden.
 * @param params of the path, not validated yet
 * @throws TributaryError FORBIDDEN, SCOPE_MISSING, NODE_MISMATCH
 */
export const authorise = (
  route: Pick<Route, 'access' | 'function' | 'method'>,
  principal: Principal,
  params: Readonly<Record<string, string>>,
): void => {
  const { access } = route
  if (access.kind === 'public') return
  if (access.kind === 'role') {
    checkPerson(route, access.atLeast, principal)
    return
  }
  if (principal.kind !== access.of) throw new TributaryError('FORBIDDEN')
  if (principal.id !== params[access.pathParameter]) {
    throw new TributaryError(access.of === 'regional-node' ? 'NODE_MISMATCH' : 'FORBIDDEN')
  }
}

const checkPerson = (route: Pick<Route, 'function' | 'method'>, atLeast: Role, principal: Principal): void => {
  if (principal.kind !== 'token' && principal.kind !== 'api-key') throw new TributaryError('FORBIDDEN')
  if (roles.indexOf(principal.role) < roles.indexOf(atLeast)) throw new TributaryError('FORBIDDEN')
  if (principal.kind === 'token' || principal.scopes === null) return
  const scope = scopeOf(route)
  if (!principal.scopes.includes(scope)) {
    throw new TributaryError('SCOPE_MISSING', { detail: `The key lacks the scope ${scope}.`, extra: { scope } })
  }
}
