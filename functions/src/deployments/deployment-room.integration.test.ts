import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CreateDeployment, mostLiveDeployments } from '@tributary/contracts/deployments'
import type { TributaryError } from '@tributary/contracts/errors'
import { v7 } from 'uuid'
import type { Context } from '../context.ts'
import type { TransactionalHandler } from '../http/handler.ts'
import { DeploymentWorld } from '../testing/deployment-world.ts'
import { testServices } from '../testing/test-services.ts'
import { createDeployment } from './create-deployment.ts'

const services = testServices()

test('two that begin at the same time for different models cannot both take the last place', {
  timeout: 60_000,
}, async () => {
  const { federation } = await DeploymentWorld.begin(services)
  const { sql } = services.db
  const { model, version } = federation
  await sql`
    insert into deployment (id, model, version, state, target, regions, stages, share, health, automatic_roll_back, created_by)
    select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid, ${model}, ${version}, 'released',
      '{"regions":["nowhere"],"groups":[],"labels":{}}', '{nowhere}', '[{"share":1,"holdSeconds":0,"minimumServing":0}]', 1,
      '{"maximumUnhealthyShare":0.05,"minimumReports":1}', true, 'test'
    from generate_series(1, ${mostLiveDeployments - 1}::integer) i`
  const otherModel = async () => {
    const body = CreateDeployment.parse({ model: v7(), version: v7() })
    await sql`insert into model (id, name, created_by) values (${body.model}, ${body.model}, 'test')`
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes, created_by)
      select ${body.version as string}, ${body.model}, 0, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes, created_by
      from model_version where id = ${version}`
    return federation.request<'createDeployment'>({ params: undefined, query: undefined, body })
  }
  await using connections = federation.ownConnections(2)
  const [first, second] = connections.contexts as [Context, Context]
  const requests = [await otherModel(), await otherModel()] as const
  const begin = (context: Context, request: (typeof requests)[0], atEnd: () => Promise<void>) =>
    context.database.transaction(async transaction => {
      const handler = createDeployment(context) as TransactionalHandler<'createDeployment'>
      await handler(request, transaction)
      await atEnd()
    })

  const entered = Promise.withResolvers<void>()
  const leave = Promise.withResolvers<void>()
  const one = begin(first, requests[0], () => {
    entered.resolve()
    return leave.promise
  })
  await entered.promise
  let isOver = false
  const other = begin(second, requests[1], async () => undefined).finally(() => {
    isOver = true
  })
  other.catch(() => undefined)
  while (!isOver && (await sql`select from pg_locks where not granted`).length === 0);
  leave.resolve()
  await one
  await assert.rejects(other, (error: unknown) => (error as TributaryError).code === 'DEPLOYMENTS_TOO_MANY')
  const [live] = await sql`select count(*)::integer as count from deployment where state in ('rolling-out', 'released')`
  assert.equal(live?.count, mostLiveDeployments)
})
