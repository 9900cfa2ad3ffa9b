import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { DeploymentDevice } from '@tributary/contracts/deployments'
import { DEPLOYMENT_MOVES, type DeploymentEvent, type DeploymentState } from '@tributary/learning/deployment-state'
import { v7 } from 'uuid'
import { buryVersion } from '../models/bury-version.ts'
import { DeploymentWorld } from '../testing/deployment-world.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { deploymentsHandlers } from './deployments-handlers.ts'
import { removeOldReports } from './remove-old-reports.ts'

const services = testServices()

suite('deployments', { timeout: 120_000 }, () => {
  test('a deployment begins with its first stage, and regions, nodes and the audit trail know of it', async () => {
    const world = await DeploymentWorld.begin(services, { north: { trainers: 2 }, south: { trainers: 1 } })
    const { model, version } = world.federation
    const { status, body } = await world.post('/v1/deployments', { model, version, target: { groups: [] } })
    assert.equal(status, 201)
    assert.deepEqual(
      [body.state, body.stage, body.share, body.revision, body.automaticRollBack],
      ['rolling-out', 0, 0.1, 1, true],
    )
    assert.deepEqual(await world.commands(body.id), ['region.north 0.1 r1', 'region.south 0.1 r1'])
    const { deployments } = await world.status()
    assert.deepEqual(
      deployments?.map(({ deployment, share, weights }) => [deployment, share, weights.version]),
      [[body.id, 0.1, version]],
    )
    const detail = await world.get(body.id)
    assert.equal(detail.fitting, 3)
    assert.deepEqual(
      detail.history.map(({ action, changedBy }: Record<string, unknown>) => [action, changedBy]),
      [['created', 'token:operator']],
    )
    const audited = await services.db.sql`select action from audit_entry where subject = ${`deployment/${body.id}`}`
    assert.deepEqual([...audited], [{ action: 'deployment.created' }])
  })

  test('what cannot be deployed is refused by name', async () => {
    const world = await DeploymentWorld.begin(services)
    const { model, version } = world.federation
    const bare = await world.addVersion({ graph: false })
    const refusal = async (fields: Record<string, unknown>) =>
      (await world.post('/v1/deployments', { model, ...fields })).body.code
    assert.equal(await refusal({ version: bare }), 'MODEL_INVALID')
    assert.equal(await refusal({ version: v7() }), 'NOT_FOUND')
    assert.equal(await refusal({ alias: 'production' }), 'ALIAS_UNKNOWN')
    assert.equal(await refusal({ model: v7(), version }), 'NOT_FOUND')
    assert.equal(await refusal({ version, target: { regions: ['north', 'moon'] } }), 'REGION_UNKNOWN')
    assert.equal(await refusal({}), 'BODY_INVALID')
    assert.equal(await refusal({ version, alias: 'production' }), 'BODY_INVALID')
    assert.equal(await refusal({ version, stages: [{ share: 0.5, holdSeconds: 1 }] }), 'BODY_INVALID')
    const shrinking = [
      { share: 0.5, holdSeconds: 1 },
      { share: 0.4, holdSeconds: 1 },
      { share: 1, holdSeconds: 1 },
    ]
    assert.equal(await refusal({ version, stages: shrinking }), 'BODY_INVALID')
    await services.db.sql`update model_version set state = 'uploading' where id = ${version}`
    assert.equal(await refusal({ version }), 'MODEL_VERSION_NOT_READY')
    await services.db.sql`update model_version set state = 'ready' where id = ${version}`
    const asViewer = await world.api('POST', '/v1/deployments', { token: tokens.viewer, body: { model, version } })
    assert.equal(asViewer.body.code, 'FORBIDDEN')
    assert.equal((await services.db.sql`select from deployment`).length, 0)
  })

  test('an alias is resolved once, when the deployment begins', async () => {
    const world = await DeploymentWorld.begin(services)
    const { model, version } = world.federation
    const { sql } = services.db
    const [change] = await sql<{ id: number }[]>`
      insert into model_alias_change (model, alias, action, version, changed_by)
      values (${model}, 'production', 'promoted', ${version}, 'test') returning id`
    await sql`
      insert into model_alias (model, alias, version, change) values (${model}, 'production', ${version}, ${change?.id ?? 0})`
    const id = await world.deploy({ version: undefined, alias: 'production' })
    await sql`update model_alias set version = ${await world.addVersion()} where model = ${model}`
    assert.equal((await world.get(id)).version, version)
  })

  test('at most so many deployments are live', async () => {
    const world = await DeploymentWorld.begin(services)
    const { model, version, db } = world.federation
    await db.sql`
      insert into deployment (id, model, version, state, target, regions, stages, share, health, automatic_roll_back, created_by)
      select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid, ${model}, ${version}, 'released',
        '{"regions":["nowhere"],"groups":[],"labels":{}}', '{nowhere}', '[{"share":1,"holdSeconds":0,"minimumServing":0}]', 1,
        '{"maximumUnhealthyShare":0.05,"minimumReports":1}', true, 'test' from generate_series(1, 63) i`
    await world.deploy({ target: { regions: ['north'] } })
    const { body } = await world.post('/v1/deployments', { model, version, target: { labels: { a: 'b' } } })
    // It would have superseded the one that rolls out, so the number stays.
    assert.equal(body.state, 'rolling-out')
    const more = await world.post('/v1/deployments', { model, version, target: { labels: { a: 'c' } } })
    assert.equal(more.body.code, 'DEPLOYMENTS_TOO_MANY')
  })

  const bring: Record<DeploymentState, (world: DeploymentWorld, id: string) => Promise<unknown>> = {
    'rolling-out': async () => undefined,
    paused: (world, id) => world.move(id, 'pause'),
    released: (world, id) => world.move(id, 'complete'),
    'rolled-back': (world, id) => world.move(id, 'roll-back'),
    superseded: world => world.deploy(),
  }
  const actions: Record<string, DeploymentEvent> = {
    pause: 'pause',
    resume: 'resume',
    advance: 'advance',
    complete: 'release',
    'roll-back': 'roll-back',
  }
  test('every action leads from every state where the table says, or is refused and changes nothing', async () => {
    const world = await DeploymentWorld.begin(services)
    for (const [state, prepare] of Object.entries(bring) as [DeploymentState, (typeof bring)[DeploymentState]][]) {
      for (const [action, event] of Object.entries(actions)) {
        const id = await world.deploy()
        await prepare(world, id)
        const before = await world.get(id)
        assert.equal(before.state, state)
        const { status, body } = await world.move(id, action)
        const after = await world.get(id)
        const { from, to } = DEPLOYMENT_MOVES[event]
        if (from.includes(state)) {
          assert.deepEqual([status, body.state, after.state], [200, to, to], `${action} from ${state}`)
          assert.equal(after.history.length, before.history.length + 1)
          assert.equal(after.revision, before.revision + Number(after.share !== before.share))
        } else {
          assert.deepEqual([status, body.code], [409, 'STATE_CONFLICT'], `${action} from ${state}`)
          assert.deepEqual(after, before)
        }
      }
    }
    assert.equal((await world.move(v7(), 'pause')).body.code, 'NOT_FOUND')
  })

  test('a stage ends when it was held and enough devices serve, by the clock of the database', async () => {
    const world = await DeploymentWorld.begin(services)
    const stages = [
      { share: 0.5, holdSeconds: 60, minimumServing: 1 },
      { share: 1, holdSeconds: 30 },
    ]
    const id = await world.deploy({ stages })
    const place = async () => {
      await world.status()
      const { state, stage, share, revision } = await world.get(id)
      return [state, stage, share, revision]
    }
    assert.deepEqual(await place(), ['rolling-out', 0, 0.5, 1])
    await world.pass(id, 59)
    assert.deepEqual(await place(), ['rolling-out', 0, 0.5, 1])
    await world.pass(id, 1)
    assert.deepEqual(await place(), ['rolling-out', 0, 0.5, 1], 'nobody serves it yet')
    await world.report(id, { revision: 1, state: 'serving' })
    // The next look is 2 s away.
    await world.pass(id, 2)
    assert.deepEqual(await place(), ['rolling-out', 1, 1, 2])
    await world.pass(id, 29)
    assert.deepEqual(await place(), ['rolling-out', 1, 1, 2])
    await world.pass(id, 1)
    assert.deepEqual(await place(), ['released', 1, 1, 2])
    assert.deepEqual(await world.commands(id), ['region.north 0.5 r1', 'region.north 1 r2'])
    const { history } = await world.get(id)
    assert.deepEqual(
      history.map(({ action, changedBy }: Record<string, unknown>) => `${action} by ${changedBy}`),
      ['released by system', 'advanced by system', 'created by token:operator'],
    )
  })

  test('a pause stops the clock of the stage, and what is left of it has to pass afterwards', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy()
    await world.pass(id, 40)
    const paused = await world.move(id, 'pause')
    assert.deepEqual([paused.body.state, paused.body.stageDueAt, paused.body.revision], ['paused', null, 1])
    await world.status()
    const { body } = await world.move(id, 'resume')
    const left = (Date.parse(body.stageDueAt) - Date.parse(body.changedAt)) / 1000
    assert.ok(left > 15 && left <= 20, String(left))
    await world.pass(id, 20)
    await world.status()
    assert.equal((await world.get(id)).stage, 1)
    // Nothing changed for devices by the pause.
    assert.deepEqual(await world.commands(id), ['region.north 0.5 r1', 'region.north 1 r2'])
  })

  test('too many unhealthy devices roll it back at once, also while it is paused', async () => {
    for (const prepare of [bring['rolling-out'], bring.paused]) {
      const world = await DeploymentWorld.begin(services)
      const id = await world.deploy({ health: { maximumUnhealthyShare: 0.3, minimumReports: 3 } })
      await prepare(world, id)
      const [state] = await world.states(id)
      await world.report(
        id,
        { revision: 1, state: 'unhealthy', detail: 'no' },
        { device: 1, revision: 1, state: 'serving' },
      )
      assert.deepEqual(await world.states(id), [state], 'two reports are too few')
      await world.report(id, { device: 2, revision: 1, state: 'pulling' })
      assert.deepEqual(await world.states(id), [state])
      const { deployments } = await world.report(id, { device: 2, revision: 1, state: 'unhealthy', detail: 'NaN' })
      assert.deepEqual(deployments, [], 'the answer to the same call says so')
      const detail = await world.get(id)
      assert.deepEqual([detail.state, detail.share, detail.revision], ['rolled-back', 0, 2])
      assert.deepEqual(detail.reason, {
        code: 'UNHEALTHY',
        detail: '2 of 3 devices could not serve the version; at most a share of 0.3 may fail.',
      })
      assert.equal(detail.history[0].changedBy, 'system')
      assert.deepEqual(await world.commands(id), ['region.north 0.5 r1', 'region.north 0 r2'])
    }
  })

  test('without automatic roll back an unhealthy stage stays until somebody decides', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy({ automaticRollBack: false })
    await world.report(id, { revision: 1, state: 'unhealthy' })
    await world.pass(id, 3600)
    await world.status()
    const { state, stage } = await world.get(id)
    assert.deepEqual([state, stage], ['rolling-out', 0])
    assert.equal((await world.move(id, 'advance')).body.stage, 1)
  })

  test('reports about an earlier or a later revision do not count', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy()
    await world.report(id, { revision: 1, state: 'serving' })
    await world.move(id, 'advance')
    await world.report(
      id,
      { device: 1, revision: 1, state: 'unhealthy' },
      { device: 2, revision: 3, state: 'unhealthy' },
    )
    const { state, counts } = await world.get(id)
    assert.equal(state, 'rolling-out')
    assert.deepEqual(counts, { pulling: 0, serving: 0, unhealthy: 0, refused: 0, rolledBack: 0, outdated: 1 })
    await world.report(id, { revision: 2, state: 'serving' }, { device: 1, revision: 2, state: 'pulling' })
    assert.deepEqual((await world.get(id)).counts, {
      pulling: 1,
      serving: 1,
      unhealthy: 0,
      refused: 0,
      rolledBack: 0,
      outdated: 0,
    })
  })

  test('what owners do not allow is listed with its rule, and says nothing about the version', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy()
    const detail = 'POLICY_REFUSED: rule "deployments.models.deny" of the owner\'s policy'
    await world.report(
      id,
      { revision: 1, state: 'serving' },
      { device: 1, revision: 1, state: 'refused', detail },
      { device: 2, revision: 1, state: 'refused', detail },
    )
    const { state, counts } = await world.get(id)
    assert.equal(state, 'rolling-out')
    assert.deepEqual(counts, { pulling: 0, serving: 1, unhealthy: 0, refused: 2, rolledBack: 0, outdated: 0 })
    const query = 'state=refused'
    const { body } = await world.api('GET', `/v1/deployments/${id}/devices`, { token: tokens.viewer, query })
    assert.deepEqual(
      body.items.map((item: DeploymentDevice) => [item.state, item.detail]),
      Array.from({ length: 2 }, () => ['refused', detail]),
    )
  })

  test('that a device went back counts once the deployment is over, whatever revision it knew', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy()
    await world.report(id, { revision: 1, state: 'serving' })
    await world.move(id, 'roll-back')
    await world.report(
      id,
      { revision: 1, state: 'rolled-back' },
      { device: 1, revision: 1, state: 'serving' },
      { device: 2, revision: 9, state: 'rolled-back' },
    )
    const { counts } = await world.get(id)
    assert.deepEqual(counts, { pulling: 0, serving: 0, unhealthy: 0, refused: 0, rolledBack: 1, outdated: 0 })
  })

  test('a node speaks only for devices of the shards that it leases, and of its region', async () => {
    const world = await DeploymentWorld.begin(services, { north: { trainers: 2 }, south: { trainers: 1 } })
    const id = await world.deploy()
    await world.report(id, { device: 2, revision: 1, state: 'serving' })
    const { sql } = services.db
    await sql`update device set revoked_at = now() where id = ${world.federation.devices[1]?.id as string}`
    await world.report(id, { device: 1, revision: 1, state: 'serving' })
    assert.deepEqual((await world.get(id)).regions, [])
    const [node] = world.federation.nodes
    assert.ok(node)
    // Another node takes the shard meanwhile.
    const other = await world.federation.addNode('north')
    await sql`
      update region_shard set node = ${other.id}, epoch = epoch + 1, lease_expires_at = now() + interval '20 s'
      where region = 'north'`
    await world.report(id, { revision: 1, state: 'serving' })
    assert.deepEqual((await world.get(id)).regions, [])
  })

  test('what devices said goes three months after the deployment is over, and never before', async () => {
    const world = await DeploymentWorld.begin(services)
    const { database, sql } = services.db
    const old = await world.deploy()
    await world.report(old, { revision: 1, state: 'serving' })
    await world.move(old, 'roll-back')
    const live = await world.deploy()
    await world.report(live, { revision: 1, state: 'serving' })
    await world.move(live, 'complete')
    await sql`update deployment set changed_at = now() - interval '89 days'`
    assert.equal(await removeOldReports(database), 0)
    await sql`update deployment set changed_at = now() - interval '91 days'`
    assert.equal(await removeOldReports(database), 1)
    assert.deepEqual([(await world.get(old)).regions.length, (await world.get(live)).regions.length], [0, 1])
  })

  test('a look that a pause came between is made good', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy()
    const { sql } = services.db
    await world.report(id, { revision: 1, state: 'serving' })
    // As if the report had come while the pause was written: nobody has looked at it.
    await sql`update deployment_device set state = 'unhealthy'`
    assert.equal((await world.move(id, 'pause')).body.state, 'paused')
    await world.status()
    assert.deepEqual(await world.states(id), ['rolled-back'])
  })

  test('the same reports ten times at once have one effect', async () => {
    const world = await DeploymentWorld.begin(services)
    const id = await world.deploy({ health: { minimumReports: 2 } })
    await using own = world.federation.ownConnections(10)
    await Promise.all(
      own.contexts.map(context =>
        world.reportAs(
          context,
          id,
          { revision: 1, state: 'unhealthy', detail: 'a' },
          { device: 1, revision: 1, state: 'serving' },
        ),
      ),
    )
    const { state, history, counts } = await world.get(id)
    assert.equal(state, 'rolled-back')
    assert.deepEqual(
      history.map(({ action }: Record<string, unknown>) => action),
      ['rolled-back', 'created'],
    )
    assert.equal(counts.outdated, 2)
    assert.deepEqual(await world.commands(id), ['region.north 0.5 r1', 'region.north 0 r2'])
  })

  test('ten equal requests at once begin one deployment, and ten different ones leave one to roll out', async () => {
    const world = await DeploymentWorld.begin(services)
    const { model, version } = world.federation
    const key = v7()
    const same = await Promise.all(
      Array.from({ length: 10 }, () => world.post('/v1/deployments', { model, version }, key)),
    )
    const ids = new Set(same.filter(({ status }) => status === 201).map(({ body }) => body.id))
    assert.equal(ids.size, 1)
    assert.equal((await services.db.sql`select from deployment`).length, 1)
    await Promise.all(Array.from({ length: 10 }, () => world.deploy()))
    const live = await services.db.sql`select from deployment where state = 'rolling-out'`
    assert.equal(live.length, 1)
  })

  test('operators who advance and take back at the same time move it along one line', async () => {
    const world = await DeploymentWorld.begin(services)
    const stages = [0.2, 0.4, 1].map(share => ({ share, holdSeconds: 60 }))
    const id = await world.deploy({ stages })
    await using own = world.federation.ownConnections(8)
    const apis = own.contexts.map(context =>
      testApi('deployments', deploymentsHandlers(context), { database: context.database }),
    )
    const ask = (action: string) =>
      Promise.all(
        apis.map(api => api('POST', `/v1/deployments/${id}/${action}`, { token: tokens.operator, key: v7() })),
      )
    const advanced = await ask('advance')
    // Two further stages and the release; whoever comes later is told so.
    assert.deepEqual(advanced.map(({ status }) => status).sort(), [200, 200, 200, 409, 409, 409, 409, 409])
    const back = await ask('roll-back')
    assert.equal(back.filter(({ status }) => status === 200).length, 1)
    const { history } = await world.get(id)
    assert.deepEqual(
      history.map(({ action, revision }: Record<string, unknown>) => `${action} r${revision}`),
      ['rolled-back r4', 'released r3', 'advanced r3', 'advanced r2', 'created r1'],
    )
    assert.deepEqual(await world.commands(id), [
      'region.north 0.2 r1',
      'region.north 0.4 r2',
      'region.north 1 r3',
      'region.north 0 r4',
    ])
    const audited = await services.db.sql`select from audit_entry where subject = ${`deployment/${id}`}`
    assert.equal(audited.length, 5)
  })

  test('a connection that dies in the middle of a roll back leaves nothing, and the next call does it', async () => {
    const world = await DeploymentWorld.begin(services)
    const { sql } = services.db
    const released = await world.deploy()
    await world.move(released, 'complete')
    const id = await world.deploy()
    await sql`create sequence deaths`
    await sql.unsafe(`
      create function die() returns trigger language plpgsql as $$ begin
        if new.action = 'rolled-back' and nextval('deaths') <= 100 then perform pg_terminate_backend(pg_backend_pid()); end if;
        return new; end $$`)
    await sql`create trigger die after insert on deployment_change for each row execute function die()`
    await world.report(id, { revision: 1, state: 'unhealthy' })
    assert.deepEqual(await world.states(id, released), ['rolling-out', 'released'])
    assert.equal((await world.get(id)).counts.unhealthy, 1, 'the report itself is kept')
    const [deaths] = await sql<{ count: number }[]>`select last_value::integer as count from deaths`
    assert.ok((deaths?.count ?? 0) >= 1)
    await sql`drop trigger die on deployment_change`
    await sql`drop function die`
    await sql`drop sequence deaths`
    await world.status()
    const { state, history } = await world.get(id)
    assert.deepEqual([state, history.length], ['rolled-back', 2])
    assert.deepEqual(await world.states(released), ['released'])
  })
})

suite('a newer deployment', { timeout: 60_000 }, () => {
  test('supersedes what is rolled out to some of the same devices, and what is released only once it is released', async () => {
    const world = await DeploymentWorld.begin(services, { north: { trainers: 2 }, south: { trainers: 1 } })
    const everywhere = await world.deploy()
    await world.move(everywhere, 'complete')
    const inNorth = await world.deploy({ target: { regions: ['north'] } })
    const inSouth = await world.deploy({ target: { regions: ['south'] } })
    assert.deepEqual(await world.states(everywhere, inNorth, inSouth), ['released', 'rolling-out', 'rolling-out'])
    const again = await world.deploy({ version: await world.addVersion(), target: { regions: ['north'] } })
    assert.deepEqual(await world.states(everywhere, inNorth, inSouth, again), [
      'released',
      'superseded',
      'rolling-out',
      'rolling-out',
    ])
    const { previous, supersededBy, reason } = await world.get(inNorth)
    assert.deepEqual([previous, supersededBy, reason.code], [everywhere, again, 'SUPERSEDED'])
    await world.move(again, 'complete')
    // The one for everybody goes on in the south.
    assert.deepEqual(await world.states(everywhere, again), ['released', 'released'])
    const whole = await world.deploy()
    await world.move(whole, 'complete')
    assert.deepEqual(await world.states(everywhere, inSouth, again, whole), [
      'superseded',
      'superseded',
      'superseded',
      'released',
    ])
    assert.deepEqual(
      (await world.status()).deployments?.map(({ deployment }) => deployment),
      [whole],
    )
  })

  test('that is rolled back gives its devices back to what they served before', async () => {
    const world = await DeploymentWorld.begin(services)
    const first = await world.deploy()
    await world.move(first, 'complete')
    const canary = await world.deploy()
    const next = await world.deploy()
    await world.move(next, 'complete')
    assert.deepEqual(await world.states(first, canary, next), ['superseded', 'superseded', 'released'])
    const rolledBack = await world.move(next, 'roll-back')
    assert.equal(rolledBack.status, 200, JSON.stringify(rolledBack.body))
    // The canary was never released: it does not come back.
    assert.deepEqual(await world.states(first, canary, next), ['released', 'superseded', 'rolled-back'])
    const { share, revision, supersededBy } = await world.get(first)
    assert.deepEqual([share, revision, supersededBy], [1, 4, null])
    assert.deepEqual(await world.commands(first), [
      'region.north 0.5 r1',
      'region.north 1 r2',
      'region.north 0 r3',
      'region.north 1 r4',
    ])
  })

  test('keeps the version that it would give back from being deleted', async () => {
    const world = await DeploymentWorld.begin(services)
    const { model, version: first, db, context } = world.federation
    const [second, third] = [await world.addVersion(), await world.addVersion()]
    const bury = (version: string) =>
      db.database
        .transaction(sql => buryVersion(context, sql, { model, version, actor: 'test' }))
        .then(
          () => 'buried',
          error => error.extra.references.map(({ kind }: { kind: string }) => kind).join(),
        )
    const a = await world.deploy({ version: first })
    assert.equal(await bury(first), 'deployment')
    await world.move(a, 'complete')
    const b = await world.deploy({ version: second })
    assert.deepEqual([await bury(first), await bury(second)], ['deployment', 'deployment'])
    await world.move(b, 'complete')
    assert.deepEqual([await bury(first), await bury(second)], ['deployment', 'deployment'])
    const c = await world.deploy({ version: third })
    await world.move(c, 'complete')
    assert.deepEqual([await bury(first), await bury(second)], ['buried', 'deployment'])
    await world.move(c, 'roll-back')
    assert.equal(await bury(third), 'buried')
    await world.move(b, 'roll-back')
    // Its version is gone, so it does not come back.
    assert.deepEqual(await world.states(a, b, c), ['superseded', 'rolled-back', 'rolled-back'])
  })
})
