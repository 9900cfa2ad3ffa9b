import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { routes } from '@tributary/contracts/routes'
import { type Route, roles } from '@tributary/contracts/routes/route'
import { scopeOf, scopes } from '@tributary/contracts/routes/scope'
import { authorise } from './authorise.ts'
import type { Principal } from './principal.ts'

const own = '01890a5d-ac96-774b-bcce-b302099a8057'
const other = '01890a5d-ac96-774b-bcce-b302099a8058'
const outcome = (route: Route, principal: Principal): string => {
  try {
    authorise(route, principal, { node: own, device: own })
    return 'allowed'
  } catch (error) {
    if (error instanceof TributaryError) return error.code
    throw error
  }
}

test('every route admits exactly whom the table names', () => {
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const { access } = route
    for (const [rank, role] of roles.entries()) {
      const wanted =
        access.kind === 'public' || (access.kind === 'role' && rank >= roles.indexOf(access.atLeast))
          ? 'allowed'
          : 'FORBIDDEN'
      assert.equal(outcome(route, { kind: 'token', name: 'x', role }), wanted, `${name} as ${role}`)
    }
    for (const role of roles) {
      const key = { kind: 'api-key', id: own, name: 'x', role } as const
      const rank = outcome(route, { kind: 'token', name: 'x', role })
      assert.equal(outcome(route, { ...key, scopes: null }), rank, `${name} with a key`)
      assert.equal(outcome(route, { ...key, scopes: [scopeOf(route)] }), rank, `${name} with its scope`)
      const others = scopes.filter(scope => scope !== scopeOf(route))
      const wanted = rank === 'allowed' && access.kind !== 'public' ? 'SCOPE_MISSING' : rank
      assert.equal(outcome(route, { ...key, scopes: others }), wanted, `${name} with all scopes but its own`)
    }
    const certificates = [
      { kind: 'regional-node', id: own, hostnames: [] },
      { kind: 'regional-node', id: other, hostnames: [] },
      { kind: 'device', id: own, hostnames: [] },
      { kind: 'device', id: other, hostnames: [] },
    ] as const
    for (const principal of certificates) {
      const wanted =
        access.kind === 'public'
          ? 'allowed'
          : access.kind !== 'certificate' || access.of !== principal.kind
            ? 'FORBIDDEN'
            : principal.id === own
              ? 'allowed'
              : access.of === 'regional-node'
                ? 'NODE_MISMATCH'
                : 'FORBIDDEN'
      assert.equal(outcome(route, principal), wanted, `${name} as ${principal.kind}`)
    }
    assert.equal(outcome(route, { kind: 'anonymous' }), access.kind === 'public' ? 'allowed' : 'FORBIDDEN', name)
  }
})
