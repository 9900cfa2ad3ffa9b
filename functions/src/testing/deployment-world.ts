import assert from 'node:assert/strict'
import type { DeploymentReport } from '@tributary/contracts/deployments'
import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import { v7 } from 'uuid'
import { deploymentsHandlers } from '../deployments/deployments-handlers.ts'
import type { Enrolment, RoundFederation } from './round-federation.ts'
import { testApi, tokens } from './test-api.ts'
import type { TestServices } from './test-services.ts'

type Api = ReturnType<typeof testApi>
type Report = Omit<DeploymentReport, 'device' | 'deployment'> & { readonly device?: number }

/** A federation whose versions are deployed: its API, its nodes' calls, and what its devices say. */
export class DeploymentWorld {
  readonly federation: RoundFederation
  readonly api: Api

  private constructor(federation: RoundFederation) {
    this.federation = federation
    const { database } = federation.context
    this.api = testApi('deployments', deploymentsHandlers(federation.context), { database })
  }

  static async begin(
    services: TestServices,
    regions: Readonly<Record<string, Enrolment>> = { north: { trainers: 4 } },
  ): Promise<DeploymentWorld> {
    const world = new DeploymentWorld(await services.begin(regions))
    await world.federation.comeUp()
    return world
  }

  /** One more ready version of the model. */
  async addVersion({ graph = true } = {}): Promise<string> {
    const { model, version, db } = this.federation
    const id = v7()
    await db.sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, graph_key, graph_sha256, graph_bytes, created_by)
      select ${id}, model, (select max(number) + 1 from model_version where model = ${model}), 'ready', weights_key,
        weights_sha256, weights_bytes, manifest_key, manifest_sha256, manifest_bytes, case when ${graph} then graph_key end,
        case when ${graph} then graph_sha256 end, case when ${graph} then graph_bytes end, 'test'
      from model_version where id = ${version}`
    return id
  }

  post(path: string, body?: unknown, key: string = v7()) {
    return this.api('POST', path, { token: tokens.operator, key, ...(body === undefined ? {} : { body }) })
  }

  /** Deploys the federation's version unless told otherwise. @returns its id */
  async deploy(fields: Record<string, unknown> = {}): Promise<string> {
    const { model, version } = this.federation
    const stages = [
      { share: 0.5, holdSeconds: 60 },
      { share: 1, holdSeconds: 60 },
    ]
    const { status, body } = await this.post('/v1/deployments', { model, version, stages, ...fields })
    assert.equal(status, 201, JSON.stringify(body))
    return body.id
  }

  move(deployment: string, action: string) {
    return this.post(`/v1/deployments/${deployment}/${action}`)
  }

  async get(deployment: string) {
    const { status, body } = await this.api('GET', `/v1/deployments/${deployment}`, { token: tokens.viewer })
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }

  async states(...deployments: readonly string[]): Promise<string[]> {
    const found = await Promise.all(deployments.map(id => this.get(id)))
    return found.map(({ state }) => state)
  }

  /** A status call of the first region's node with what its devices say. */
  report(deployment: string, ...reports: readonly Report[]): Promise<NodeStatusAnswer> {
    return this.reportAs(this.federation.context, deployment, ...reports)
  }

  reportAs(
    context: RoundFederation['context'],
    deployment: string,
    ...reports: readonly Report[]
  ): Promise<NodeStatusAnswer> {
    const [node] = this.federation.nodes
    assert.ok(node)
    const deploymentReports = reports.map(({ device = 0, ...report }) => {
      const known = this.federation.devices[device]
      assert.ok(known)
      return { deployment, device: known.id, ...report }
    })
    return this.federation.status(node, { deploymentReports }, context)
  }

  /** A status call that says nothing: due work runs. */
  status(): Promise<NodeStatusAnswer> {
    const [node] = this.federation.nodes
    assert.ok(node)
    return this.federation.status(node)
  }

  /** So many seconds pass for a deployment, by the database's clock. */
  async pass(deployment: string, seconds: number): Promise<void> {
    await this.federation.db.sql`
      update deployment set stage_due_at = stage_due_at - make_interval(secs => ${seconds}),
        look_at = look_at - make_interval(secs => ${seconds})
      where id = ${deployment}`
  }

  /** What the regions were told, in order: region, share and revision of each command. */
  async commands(deployment: string): Promise<string[]> {
    const rows = await this.federation.db.sql<{ region: string; share: number; revision: number }[]>`
      select routing_key as region, (body -> 'data' ->> 'share')::double precision as share,
        (body -> 'data' ->> 'revision')::integer as revision
      from outbox where body ->> 'type' = 'model.released' and body -> 'data' ->> 'deployment' = ${deployment} order by id`
    return rows.map(({ region, share, revision }) => `${region} ${share} r${revision}`)
  }
}
