import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { v7 } from 'uuid'
import { Database } from '../../database/database.ts'
import type { RouteRequest } from '../../http/handler.ts'
import { tokens } from '../../testing/test-api.ts'
import { testRegistry } from '../../testing/test-registry.ts'
import { resolveAlias } from '../resolve-alias.ts'
import { setAlias } from './set-alias.ts'

const registry = testRegistry()

suite('aliases', { timeout: 60_000 }, () => {
  let model: string
  let versions: string[]
  before(async () => {
    model = await registry.createModel('aliased')
    versions = []
    for (let n = 0; n < 4; n += 1) versions.push(await registry.ready(model))
  })

  const path = (alias: string, rest = '') => `/v1/models/${model}/aliases/${alias}${rest}`
  const promote = (alias: string, number: number, expected?: string | null) =>
    registry.api('PUT', path(alias), {
      body: { version: versions[number], ...(expected === undefined ? {} : { expected }) },
    })
  const rollBack = (alias: string, body = {}) => registry.api('POST', path(alias, '/roll-back'), { body })
  const numberOf = async (answer: ReturnType<typeof registry.api>) => {
    const { body } = await answer
    return body.code ?? [body.number, body.before?.number ?? null]
  }

  test('name a version, go to others, and come back one promotion at a time', async () => {
    assert.deepEqual(await numberOf(promote('production', 0)), [0, null])
    assert.deepEqual(await numberOf(promote('production', 1)), [1, 0])
    assert.deepEqual(await numberOf(promote('production', 1)), [1, 0])
    assert.deepEqual(await numberOf(promote('production', 2)), [2, 1])
    assert.equal(await resolveAlias(registry.db.sql, model, 'production'), versions[2])
    assert.deepEqual(await numberOf(rollBack('production')), [1, 0])
    assert.deepEqual(await numberOf(promote('production', 3)), [3, 1])
    assert.deepEqual(await numberOf(rollBack('production')), [1, 0])
    assert.deepEqual(await numberOf(rollBack('production')), [0, null])
    assert.deepEqual(await numberOf(rollBack('production')), 'ALIAS_AT_START')
    const history = await registry.api('GET', path('production', '/history'), { query: 'limit=4' })
    const rest = await registry.api('GET', path('production', '/history'), { query: `cursor=${history.body.next}` })
    assert.deepEqual(
      [...history.body.items, ...rest.body.items].map(({ action, number }: { action: string; number: number }) => [
        action,
        number,
      ]),
      [
        ['rolled-back', 0],
        ['rolled-back', 1],
        ['promoted', 3],
        ['rolled-back', 1],
        ['promoted', 2],
        ['promoted', 1],
        ['promoted', 0],
      ],
    )
    assert.equal(rest.body.next, null)
    assert.equal(history.body.items[0].changedBy, 'token:operator')
  })

  test('move only from the version that the caller expects', async () => {
    assert.equal(await numberOf(promote('candidate', 1, versions[0])), 'ALIAS_MOVED')
    assert.deepEqual(await numberOf(promote('candidate', 1, null)), [1, null])
    const taken = await promote('candidate', 2, null)
    assert.deepEqual([taken.body.code, taken.body.version], ['ALIAS_MOVED', versions[1]])
    assert.deepEqual(await numberOf(promote('candidate', 2, versions[1])), [2, 1])
    assert.equal(await numberOf(rollBack('candidate', { expected: versions[1] })), 'ALIAS_MOVED')
    assert.deepEqual(await numberOf(rollBack('candidate', { expected: versions[2] })), [1, null])
  })

  test('are set by one of many at once that expect the same', async () => {
    await promote('contested', 0)
    await using resources = new AsyncDisposableStack()
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(number => {
        const database = resources.use(
          new Database({ url: registry.db.url, log: registry.context.log, name: `at-once-${number}` }),
        )
        const request = {
          params: { model, alias: 'contested' },
          body: { version: versions[number] as string, expected: versions[0] as string },
          actor: 'test',
        } as RouteRequest<'setAlias'>
        const handler = setAlias(registry.context)
        assert.ok(typeof handler === 'function')
        return database.transaction(transaction => handler(request, transaction))
      }),
    )
    const codes = outcomes.map(outcome => (outcome.status === 'fulfilled' ? 'set' : outcome.reason.code))
    assert.deepEqual(codes.sort(), ['ALIAS_MOVED', 'ALIAS_MOVED', 'set'])
    assert.equal((await registry.db.sql`select from model_alias_change where alias = 'contested'`).length, 2)
  })

  test('are listed by name, are deleted with their history kept, and begin anew', async () => {
    const listed = await registry.api('GET', `/v1/models/${model}/aliases`, { query: 'limit=2' })
    const names = (answer: typeof listed) => answer.body.items.map(({ alias }: { alias: string }) => alias)
    assert.deepEqual(names(listed), ['candidate', 'contested'])
    const rest = await registry.api('GET', `/v1/models/${model}/aliases`, { query: `cursor=${listed.body.next}` })
    assert.deepEqual(names(rest), ['production'])
    assert.equal((await registry.api('DELETE', path('candidate'))).status, 204)
    assert.equal((await registry.api('GET', path('candidate'))).body.code, 'ALIAS_UNKNOWN')
    assert.equal((await registry.api('DELETE', path('candidate'))).body.code, 'ALIAS_UNKNOWN')
    await assert.rejects(resolveAlias(registry.db.sql, model, 'candidate'), { code: 'ALIAS_UNKNOWN' })
    await assert.rejects(resolveAlias(registry.db.sql, v7(), 'candidate'), { code: 'NOT_FOUND' })
    assert.deepEqual(await numberOf(promote('candidate', 0)), [0, null])
    const { body } = await registry.api('GET', path('candidate', '/history'))
    assert.deepEqual(
      body.items.slice(0, 2).map(({ action }: { action: string }) => action),
      ['promoted', 'deleted'],
    )
    const named = await registry.api('GET', `/v1/models/${model}/versions`, { query: 'alias=candidate&order=oldest' })
    assert.deepEqual(
      named.body.items.map(({ number }: { number: number }) => number),
      [0, 1, 2],
    )
  })

  test('name ready versions of their model only, and viewers only look', async () => {
    const other = await registry.createModel('other model')
    const foreign = await registry.ready(other)
    const { version: uploading } = await registry.declare(model, { weights: new Uint8Array(8) })
    const set = (version: string, token?: string) =>
      registry.api('PUT', path('new'), { body: { version }, ...(token === undefined ? {} : { token }) })
    assert.equal((await set(foreign)).body.code, 'NOT_FOUND')
    assert.equal((await set(v7())).body.code, 'NOT_FOUND')
    assert.equal((await set(uploading)).body.code, 'MODEL_VERSION_NOT_READY')
    assert.equal((await set(versions[0] as string, tokens.viewer)).status, 403)
    assert.equal((await registry.api('GET', path('new'), { token: tokens.viewer })).body.code, 'ALIAS_UNKNOWN')
    const unknown = await registry.api('PUT', `/v1/models/${v7()}/aliases/new`, { body: { version: foreign } })
    assert.equal(unknown.body.code, 'NOT_FOUND')
    assert.equal((await registry.api('PUT', path('Not%20a%20name'), { body: { version: foreign } })).status, 400)
  })
})
