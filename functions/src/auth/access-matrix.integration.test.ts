import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { type RouteName, routes } from '@tributary/contracts/routes'
import { type ApiFunction, apiFunctions, type Role, type Route, roles } from '@tributary/contracts/routes/route'
import { scopeOf, scopes } from '@tributary/contracts/routes/scope'
import { systemClock } from '../adapters/clock.ts'
import { uuidV7Ids } from '../adapters/ids.ts'
import { fileCertificateAuthority } from '../fleet/certificate-authority.ts'
import { fleetHandlers } from '../fleet/fleet-handlers.ts'
import type { Handlers } from '../http/handler.ts'
import { httpApi } from '../http/http-api.ts'
import { createLog } from '../log.ts'
import { noMetrics } from '../metrics/metrics.ts'
import { type ApiAnswer, apiClient } from '../testing/api-client.ts'
import { knownTokens, testApi, testParts, tokens } from '../testing/test-api.ts'
import { createRequest, createTestAuthority, otherKey, signRequest } from '../testing/test-certificates.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { apiKeyRegister } from './api-key-register.ts'
import { apiKeyHash, apiKeyHint, newApiKey } from './api-key-text.ts'
import { apiTokenVerifier } from './api-tokens.ts'
import { createAuthenticator } from './authenticate.ts'
import { checkRegistered } from './certificate-register.ts'
import { servesCertificates } from './serves-certificates.ts'
import { signedRequestVerifier } from './signed-requests.ts'

const table = Object.entries(routes) as [RouteName, Route][]
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'get', 'PROPFIND']
const functionOf = (route: Route) => route.function

type Holder = Awaited<ReturnType<typeof createRequest>> & { readonly id: string; readonly certificatePem: string }
type Signed = { readonly of: 'regional-node' | 'device'; readonly holder: Holder }
/** Whether a path, or another path with parameters, is one of a template. */
const fits = (template: string, path: string): boolean => {
  const [parts, segments] = [template.split('/'), path.split('/')]
  return (
    parts.length === segments.length &&
    parts.every((part, at) => (part.startsWith('{') ? segments[at] !== '' : part === segments[at]))
  )
}

/** Who asks, and what the table says to them. */
type Caller = {
  readonly name: string
  readonly authorization: (route: Route, path: string) => Promise<string | undefined> | string | undefined
  /** A code of the refusal, or admitted. */
  readonly expected: (route: Route) => string
}

const admitted = 'admitted'
const byRole = (role: Role) => (route: Route) =>
  route.access.kind === 'role' && roles.indexOf(role) >= roles.indexOf(route.access.atLeast) ? admitted : 'FORBIDDEN'

// Runs over whatever the table holds: a new route is tried without a change here.
suite('who may call what', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let authorityPem: string
  const holders = {} as Record<
    'node' | 'otherNode' | 'revokedNode' | 'device' | 'otherDevice' | 'revokedDevice',
    Holder
  >
  const apis = {} as Record<ApiFunction, ReturnType<typeof apiClient>>

  before(async () => {
    db = resources.use(await startTestDatabase())
    const { database } = db
    const files = resources.use(await createTestAuthority())
    authorityPem = files.pem
    const authority = fileCertificateAuthority(files.config, systemClock)
    const parts = testParts(database)
    const fleet = testApi('fleet', fleetHandlers({ ...parts, authority }), { database })
    await fleet('POST', '/v1/regions', { token: tokens.admin, body: { region: 'alps' } })
    const register = async (kind: 'devices' | 'regional-nodes', name: string): Promise<Holder> => {
      const request = await createRequest()
      const more = kind === 'devices' ? { label: name } : { name, hostnames: ['localhost'] }
      const body = { region: 'alps', csr: request.csr, ...more }
      const answer = await fleet('POST', `/v1/${kind}`, { token: tokens.admin, body })
      assert.equal(answer.status, 201, JSON.stringify(answer.body))
      return { ...request, id: answer.body.id, certificatePem: answer.body.certificate }
    }
    holders.node = await register('regional-nodes', 'one')
    holders.otherNode = await register('regional-nodes', 'two')
    holders.revokedNode = await register('regional-nodes', 'three')
    holders.device = await register('devices', 'one')
    holders.otherDevice = await register('devices', 'two')
    holders.revokedDevice = await register('devices', 'three')
    for (const path of [`regional-nodes/${holders.revokedNode.id}`, `devices/${holders.revokedDevice.id}`]) {
      assert.equal((await fleet('POST', `/v1/${path}/revoke`, { token: tokens.admin })).status, 200)
    }
    for (const name of apiFunctions) apis[name] = apiOf(name)
  })
  after(() => resources.disposeAsync())

  /** The function as it is deployed, but for what lies behind the gate: every handler says that it was reached. */
  const apiOf = (functionName: ApiFunction) => {
    const { database } = db
    const reached = async () => {
      throw new TributaryError('STATE_CONFLICT', { detail: 'reached' })
    }
    const names = table.filter(([, route]) => route.function === functionName).map(([name]) => name)
    const cache = { get: async () => null, set: async () => undefined }
    return apiClient(
      httpApi({
        functionName,
        handlers: Object.fromEntries(names.map(name => [name, reached])) as unknown as Handlers<typeof functionName>,
        database,
        authenticate: createAuthenticator({
          verifyToken: apiTokenVerifier(knownTokens),
          findApiKey: apiKeyRegister({ database, cache, clock: systemClock }),
          checkRegistered: signedBy => checkRegistered(database, signedBy),
          checkUnused: async () => undefined,
          ...(servesCertificates(functionName)
            ? { verifySigned: signedRequestVerifier(authorityPem, systemClock) }
            : {}),
        }),
        limit: async () => undefined,
        log: createLog('silent', 'test'),
        metrics: noMetrics,
      }),
    )
  }

  const makeKey = async (
    role: Role,
    more: { scopes?: readonly string[]; expired?: boolean; revoked?: boolean } = {},
  ) => {
    const key = newApiKey()
    const { scopes: narrowed = null, expired = false, revoked = false } = more
    await db.sql`
      insert into api_key (id, name, key_sha256, hint, role, scopes, expires_at, revoked_at, created_by)
      values (${uuidV7Ids.next()}, 'test', ${apiKeyHash(key)}, ${apiKeyHint(key)}, ${role}, ${narrowed === null ? null : [...narrowed]},
        ${expired ? new Date(Date.now() - 1000) : null}, ${revoked ? new Date() : null}, 'test')`
    return key
  }
  const pathOf = (route: Route): string =>
    route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      name === 'node' ? holders.node.id : name === 'device' ? holders.device.id : uuidV7Ids.next(),
    )
  const ask = async (caller: Caller, route: Route, method: string = route.method): Promise<ApiAnswer> => {
    const path = pathOf(route)
    const authorization = await caller.authorization(route, path)
    return apis[route.function](method, path, {
      key: randomUUID(),
      headers: authorization === undefined ? {} : { authorization },
    })
  }
  const outcome = ({ status, body }: ApiAnswer): string => {
    const code = (body as { code?: string } | undefined)?.code ?? ''
    return [401, 403].includes(status) || ['ROUTE_UNKNOWN', 'METHOD_NOT_ALLOWED'].includes(code) ? code : admitted
  }

  const signedBy = (holder: () => Holder, key?: typeof otherKey) => async (route: Route, path: string) => {
    const { id, certificatePem, key: own } = holder()
    return `Bearer ${await signRequest(id, { certificatePem, key: key?.() ?? own, method: route.method, path })}`
  }
  const certificateOf = (name: keyof typeof holders, of: Signed['of'], otherwise: string): Caller => ({
    name: `the certificate of ${name}`,
    authorization: signedBy(() => holders[name]),
    expected: route => {
      if (!servesCertificates(functionOf(route))) return 'UNAUTHENTICATED'
      if (otherwise === 'CERTIFICATE_REVOKED') return otherwise
      if (route.access.kind !== 'certificate' || route.access.of !== of) return 'FORBIDDEN'
      return otherwise
    },
  })

  const callers = async (): Promise<readonly Caller[]> => {
    const bearer = (token: string) => () => `Bearer ${token}`
    const keys = { viewer: await makeKey('viewer'), operator: await makeKey('operator'), admin: await makeKey('admin') }
    const narrow = new Map<string, string>()
    const wide = new Map<string, string>()
    for (const scope of scopes) {
      narrow.set(scope, await makeKey('admin', { scopes: [scope] }))
      wide.set(scope, await makeKey('admin', { scopes: scopes.filter(other => other !== scope) }))
    }
    const gone = {
      expired: await makeKey('admin', { expired: true }),
      revoked: await makeKey('admin', { revoked: true }),
    }
    return [
      { name: 'nobody', authorization: () => undefined, expected: () => 'UNAUTHENTICATED' },
      ...['Bearer', 'Bearer ', 'Basic YWRtaW46YWRtaW4=', `${tokens.admin}`, `Bearer ${tokens.admin} x`].map(text => ({
        name: `with ${JSON.stringify(text)}`,
        authorization: () => text,
        expected: () => 'UNAUTHENTICATED',
      })),
      ...['x', newApiKey(), `${keys.admin.slice(0, -1)}!`, `${tokens.admin}x`].map(token => ({
        name: `an unknown token ${token.slice(0, 4)}`,
        authorization: bearer(token),
        expected: () => 'UNAUTHENTICATED',
      })),
      ...roles.map(role => ({
        name: `token of a ${role}`,
        authorization: bearer(tokens[role]),
        expected: byRole(role),
      })),
      ...roles.map(role => ({ name: `key of a ${role}`, authorization: bearer(keys[role]), expected: byRole(role) })),
      {
        name: 'key with the scope alone',
        authorization: route => `Bearer ${narrow.get(scopeOf(route))}`,
        expected: byRole('admin'),
      },
      {
        name: 'key with every scope but this one',
        authorization: route => `Bearer ${wide.get(scopeOf(route))}`,
        expected: route => (byRole('admin')(route) === admitted ? 'SCOPE_MISSING' : 'FORBIDDEN'),
      },
      { name: 'expired key', authorization: bearer(gone.expired), expected: () => 'API_KEY_EXPIRED' },
      { name: 'revoked key', authorization: bearer(gone.revoked), expected: () => 'API_KEY_REVOKED' },
      certificateOf('node', 'regional-node', admitted),
      certificateOf('otherNode', 'regional-node', 'NODE_MISMATCH'),
      certificateOf('revokedNode', 'regional-node', 'CERTIFICATE_REVOKED'),
      certificateOf('device', 'device', admitted),
      certificateOf('otherDevice', 'device', 'FORBIDDEN'),
      certificateOf('revokedDevice', 'device', 'CERTIFICATE_REVOKED'),
      {
        name: 'the certificate of node with another key',
        authorization: signedBy(() => holders.node, otherKey),
        expected: () => 'UNAUTHENTICATED',
      },
    ]
  }

  test('every route answers every caller as the table says', async context => {
    let cells = 0
    const wrong: string[] = []
    for (const caller of await callers()) {
      for (const [name, route] of table) {
        const wanted = route.access.kind === 'public' ? admitted : caller.expected(route)
        const answer = await ask(caller, route)
        const found = outcome(answer)
        if (found !== wanted) wrong.push(`${name} for ${caller.name}: ${found} (${answer.status}), not ${wanted}`)
        if (answer.status === 401) assert.ok(answer.headers['www-authenticate'], name)
        cells += 1
      }
    }
    context.diagnostic(`${cells} cells, ${table.length} routes`)
    assert.deepEqual(wrong, [])
  })

  test('a method that the table does not name is refused, whoever asks, with those that it names', async () => {
    const people = (await callers()).filter(({ name }) => ['nobody', 'token of a admin'].includes(name))
    for (const [, route] of table) {
      const named = [
        ...new Set(table.filter(([, other]) => other.path === route.path).map(([, other]) => other.method)),
      ]
      for (const method of methods) {
        if ((named as string[]).includes(method)) continue
        for (const caller of people) {
          const { status, headers, body } = await ask(caller, route, method)
          assert.deepEqual([status, body.code], [405, 'METHOD_NOT_ALLOWED'], `${method} ${route.path}`)
          const allow = new Set(String(headers.allow).split(', '))
          assert.deepEqual([...allow].toSorted(), named.toSorted(), `${method} ${route.path}`)
        }
      }
    }
  })

  test('a path that the table does not name leads nowhere, in no function', async () => {
    for (const name of apiFunctions) {
      const near = table.filter(([, route]) => route.function === name).map(([, route]) => pathOf(route))
      const others = near.flatMap(path => [
        `${path}/more`,
        `${path}/`,
        path.replace('/v1', '/v2'),
        `/${path}`,
        path.toUpperCase(),
      ])
      for (const path of [...others, '/', '', '/v1', '/metrics', '/v1/__proto__', '/v1/constructor']) {
        if (table.some(([, route]) => fits(route.path, path))) continue
        const { body } = await apis[name]('GET', path, { token: tokens.admin })
        assert.equal(body?.code, 'ROUTE_UNKNOWN', path)
      }
    }
  })

  test('a handler beside the table, or a route without one, keeps a function from starting', () => {
    const parts = { database: db.database, authenticate: async () => ({ kind: 'anonymous' }) as const }
    const more = { limit: async () => undefined, log: createLog('silent', 'test'), metrics: noMetrics }
    const start = (handlers: object) => () =>
      httpApi({ functionName: 'health', handlers: handlers as Handlers<'health'>, ...parts, ...more })
    assert.throws(start({}), /differ in getHealth/)
    assert.throws(start({ getHealth: async () => ({}), secret: async () => ({}) }), /differ in secret/)
  })
})
