import { type CreateDeployment, mostLiveDeployments } from '@tributary/contracts/deployments'
import { TributaryError } from '@tributary/contracts/errors'
import { targetsOverlap } from '@tributary/learning/deployment-target'
import type { Context } from '../context.ts'
import { advisoryLocks } from '../database/advisory-locks.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { Handler } from '../http/handler.ts'
import { resolveAlias } from '../models/resolve-alias.ts'
import { holdVersion, selectVersion } from '../models/version-row.ts'
import { announceDeployment } from './announce-deployment.ts'
import { type DeploymentRow, deploymentColumns, deploymentSources, lockDeploymentsOf } from './deployment-row.ts'
import { selectDeploymentView } from './deployment-view.ts'
import { moveDeployment } from './move-deployment.ts'
import { noteChange } from './note-change.ts'
import { supersededBy } from './reasons.ts'

/**
 * Begins to release a version. What is still being rolled out of the model to some of the same devices is superseded at once; what
 * is released stays until this is released too, so that devices outside the share go on with it.
 * @throws TributaryError NOT_FOUND, ALIAS_UNKNOWN, VERSION_DELETED, MODEL_VERSION_NOT_READY, MODEL_INVALID, REGION_UNKNOWN,
 * DEPLOYMENTS_TOO_MANY
 */
export const createDeployment =
  (context: Pick<Context, 'outbox' | 'audit' | 'ids'>): Handler<'createDeployment'> =>
  async ({ body, actor }, sql) => {
    const { model, target, stages, personalise } = body
    if (!(await lockDeploymentsOf(sql, model))) {
      throw new TributaryError('NOT_FOUND', { detail: `There is no model ${model}.` })
    }
    const version = await servableVersion(sql, body)
    await checkRegions(sql, target.regions)
    const others = (
      await sql<DeploymentRow[]>`
        select ${deploymentColumns(sql)} ${deploymentSources(sql)}
        where d.model = ${model} and d.state in ('rolling-out', 'paused', 'released') order by d.id`
    ).filter(other => targetsOverlap(other.target, target))
    const id = context.ids.next()
    const previous = others.findLast(({ state }) => state === 'released')?.id ?? null
    const { share, holdSeconds } = stages[0] as (typeof stages)[number]
    await sql`
      insert into deployment (id, model, version, state, target, regions, stages, share, stage_due_at, look_at, health,
        automatic_roll_back, personalise, previous, created_by)
      values (${id}, ${model}, ${version}, 'rolling-out', ${sql.json(asJson(target))}, ${target.regions}::text[],
        ${sql.json(asJson(stages))}, ${share}, now() + make_interval(secs => ${holdSeconds}),
        now() + make_interval(secs => ${holdSeconds}), ${sql.json(asJson(body.health))}, ${body.automaticRollBack},
        ${personalise === undefined ? null : sql.json(asJson(personalise))}, ${previous},
        ${actor})`
    for (const other of others) {
      if (other.state === 'released') continue
      await moveDeployment(context, sql, other, 'supersede', { actor, reason: supersededBy(id), by: id })
    }
    await checkRoom(sql)
    await noteChange(context, sql, id, { action: 'created', actor, reason: null })
    await announceDeployment(context, sql, id)
    return selectDeploymentView(sql, id)
  }

/** The version that is named, held until the transaction ends. Devices can serve only what has a forward graph. */
const servableVersion = async (
  sql: Transaction,
  { model, version: named, alias }: Pick<CreateDeployment, 'model' | 'version' | 'alias'>,
): Promise<string> => {
  const version = alias === undefined ? (named as string) : await resolveAlias(sql, model, alias)
  await holdVersion(sql, { model, version })
  const { graph_key: graph } = await selectVersion(sql, { model, version })
  if (graph !== null) return version
  const detail = `Version ${version} has no forward graph (ONNX), so no device can serve it. Upload it with its graph.`
  throw new TributaryError('MODEL_INVALID', { detail })
}

const checkRegions = async (sql: Transaction, regions: readonly string[]): Promise<void> => {
  if (regions.length === 0) return
  const known = await sql<{ region: string }[]>`select region from region where region = any(${[...regions]}::text[])`
  const names = new Set(known.map(({ region }) => region))
  const unknown = regions.find(region => !names.has(region))
  if (unknown !== undefined) {
    throw new TributaryError('REGION_UNKNOWN', { detail: `There is no region ${unknown}.`, extra: { region: unknown } })
  }
}

/** Counts what others have committed by then, and makes those that begin now wait for this one's end. */
const checkRoom = async (sql: Transaction): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${advisoryLocks.deploymentRoom})`
  const [live] = await sql<{ count: number }[]>`
    select count(*)::integer as count from deployment where state in ('rolling-out', 'paused', 'released')`
  if ((live?.count ?? 0) > mostLiveDeployments) {
    throw new TributaryError('DEPLOYMENTS_TOO_MANY', { detail: `${mostLiveDeployments} deployments are live already.` })
  }
}
