import * as z from 'zod'
import * as fleet from './fleet.ts'
import { Slug, Uuid } from './ids.ts'
import * as models from './models.ts'
import { LogEntry, NodeLogsRequest, NodeStatusAnswer, NodeStatusRequest } from './node-status.ts'
import * as tasks from './tasks.ts'

/** Roles in rising order: each may do what the ones before may. */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** Who may call a route. Deny by default: a route without an entry does not exist. */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'role'; readonly atLeast: Role }
  /** A request signed by a certificate's key; the certificate's id must be the one in the path. */
  | { readonly kind: 'certificate'; readonly of: 'regional-node' | 'device'; readonly pathParameter: string }

export type Route = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: `/v1/${string}`
  /** The Lambda function that serves it. */
  readonly function: ApiFunction
  readonly access: Access
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  readonly answer: z.ZodType
  readonly status: 200 | 201 | 202 | 204
  /** Mutating routes for people and scripts take an Idempotency-Key. */
  readonly idempotent: boolean
  readonly maxBodyBytes: number
}

export const apiFunctions = ['tasks', 'models', 'fleet', 'regional-nodes', 'health'] as const
export type ApiFunction = (typeof apiFunctions)[number]

const page = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
})
const pageOf = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item), next: z.string().nullable() })
const viewer = { kind: 'role', atLeast: 'viewer' } as const
const operator = { kind: 'role', atLeast: 'operator' } as const
const admin = { kind: 'role', atLeast: 'admin' } as const
const nodeItself = { kind: 'certificate', of: 'regional-node', pathParameter: 'node' } as const
const KiB = 1024

const defaults = { status: 200, idempotent: false, maxBodyBytes: 0 } as const
const mutation = { status: 201, idempotent: true, maxBodyBytes: 64 * KiB } as const

const taskParams = z.object({ task: Uuid })
const modelParams = z.object({ model: Uuid })
const versionParams = z.object({ model: Uuid, version: Uuid })
const nodeParams = z.object({ node: Uuid })
const deviceParams = z.object({ device: Uuid })

/** The one table that drives routing, validation, authorisation and OpenAPI. Names are operation ids. */
export const routes = {
  getHealth: {
    ...defaults,
    method: 'GET',
    path: '/v1/health',
    function: 'health',
    access: { kind: 'public' },
    summary: 'Whether the control plane and what it stands on answer.',
    answer: z.object({
      status: z.enum(['ok', 'degraded', 'down']),
      checks: z.record(z.string(), z.enum(['ok', 'down'])),
    }),
  },

  createTask: {
    ...mutation,
    method: 'POST',
    path: '/v1/tasks',
    function: 'tasks',
    access: operator,
    summary: 'Create a task, and start it unless `start` is false.',
    body: tasks.CreateTask,
    answer: tasks.TaskView,
  },
  listTasks: {
    ...defaults,
    method: 'GET',
    path: '/v1/tasks',
    function: 'tasks',
    access: viewer,
    summary: 'Tasks, newest first.',
    query: page.extend({ state: tasks.TaskState.optional() }),
    answer: pageOf(tasks.TaskView),
  },
  getTask: {
    ...defaults,
    method: 'GET',
    path: '/v1/tasks/{task}',
    function: 'tasks',
    access: viewer,
    summary: 'One task with its rounds and metrics.',
    params: taskParams,
    answer: tasks.TaskDetail,
  },
  startTask: {
    ...mutation,
    status: 200,
    method: 'POST',
    path: '/v1/tasks/{task}/start',
    function: 'tasks',
    access: operator,
    summary: 'Start a draft.',
    params: taskParams,
    answer: tasks.TaskView,
  },
  cancelTask: {
    ...mutation,
    status: 200,
    method: 'POST',
    path: '/v1/tasks/{task}/cancel',
    function: 'tasks',
    access: operator,
    summary: 'Cancel, from any state that is not final. Cancelling a cancelled task changes nothing.',
    params: taskParams,
    answer: tasks.TaskView,
  },
  listParticipants: {
    ...defaults,
    method: 'GET',
    path: '/v1/tasks/{task}/participants',
    function: 'tasks',
    access: viewer,
    summary: 'Who took part in a task, by round and device.',
    params: taskParams,
    query: page.extend({ round: z.coerce.number().int().min(1).optional() }),
    answer: pageOf(tasks.ParticipantView),
  },
  listTaskLogs: {
    ...defaults,
    method: 'GET',
    path: '/v1/tasks/{task}/logs',
    function: 'tasks',
    access: viewer,
    summary: 'What the regions logged about a task, newest first.',
    params: taskParams,
    query: page,
    answer: pageOf(LogEntry.extend({ region: Slug, node: Uuid })),
  },

  createModel: {
    ...mutation,
    method: 'POST',
    path: '/v1/models',
    function: 'models',
    access: operator,
    summary: 'Create a model.',
    body: models.CreateModel,
    answer: models.ModelView,
  },
  listModels: {
    ...defaults,
    method: 'GET',
    path: '/v1/models',
    function: 'models',
    access: viewer,
    summary: 'Models, newest first.',
    query: page,
    answer: pageOf(models.ModelView),
  },
  getModel: {
    ...defaults,
    method: 'GET',
    path: '/v1/models/{model}',
    function: 'models',
    access: viewer,
    summary: 'One model.',
    params: modelParams,
    answer: models.ModelView,
  },
  createVersion: {
    ...mutation,
    method: 'POST',
    path: '/v1/models/{model}/versions',
    function: 'models',
    access: operator,
    summary: 'Declare the files of a new version; the answer says where to upload them.',
    params: modelParams,
    body: models.CreateVersion,
    answer: models.VersionUploads,
  },
  finaliseVersion: {
    ...mutation,
    status: 200,
    method: 'POST',
    path: '/v1/models/{model}/versions/{version}/finalise',
    function: 'models',
    access: operator,
    summary: 'Check the uploaded files and make the version usable.',
    params: versionParams,
    answer: models.VersionView,
  },
  listVersions: {
    ...defaults,
    method: 'GET',
    path: '/v1/models/{model}/versions',
    function: 'models',
    access: viewer,
    summary: 'Versions of a model, newest first.',
    params: modelParams,
    query: page,
    answer: pageOf(models.VersionView),
  },
  getVersion: {
    ...defaults,
    method: 'GET',
    path: '/v1/models/{model}/versions/{version}',
    function: 'models',
    access: viewer,
    summary: 'One version.',
    params: versionParams,
    answer: models.VersionView,
  },
  downloadVersion: {
    ...defaults,
    method: 'GET',
    path: '/v1/models/{model}/versions/{version}/download',
    function: 'models',
    access: viewer,
    summary: 'A presigned address of the weights (safetensors), the graph with its weights (onnx) or the manifest.',
    params: versionParams,
    query: z.strictObject({ format: z.enum(['safetensors', 'onnx', 'manifest']).default('safetensors') }),
    answer: models.Download,
  },

  createRegion: {
    ...mutation,
    method: 'POST',
    path: '/v1/regions',
    function: 'fleet',
    access: admin,
    summary: 'Create a region.',
    body: fleet.CreateRegion,
    answer: fleet.RegionView,
  },
  listRegions: {
    ...defaults,
    method: 'GET',
    path: '/v1/regions',
    function: 'fleet',
    access: viewer,
    summary: 'Regions with their shards and leases.',
    query: page,
    answer: pageOf(fleet.RegionView),
  },
  registerNode: {
    ...mutation,
    method: 'POST',
    path: '/v1/regional-nodes',
    function: 'fleet',
    access: admin,
    summary: 'Register a regional node and sign its certificate.',
    body: fleet.RegisterNode,
    answer: fleet.Registered,
  },
  listNodes: {
    ...defaults,
    method: 'GET',
    path: '/v1/regional-nodes',
    function: 'fleet',
    access: viewer,
    summary: 'Regional nodes with the shards that they lease.',
    query: page,
    answer: pageOf(fleet.NodeView),
  },
  revokeNode: {
    ...mutation,
    status: 200,
    method: 'POST',
    path: '/v1/regional-nodes/{node}/revoke',
    function: 'fleet',
    access: admin,
    summary: 'Revoke a regional node; its leases end at once, and it is refused from its next contact on.',
    params: nodeParams,
    answer: fleet.NodeView,
  },
  reportNodeStatus: {
    ...defaults,
    maxBodyBytes: 1024 * KiB,
    method: 'POST',
    path: '/v1/regional-nodes/{node}/status',
    function: 'regional-nodes',
    access: nodeItself,
    summary: 'A node renews its leases and reports; the answer is all that it must know.',
    params: nodeParams,
    body: NodeStatusRequest,
    answer: NodeStatusAnswer,
  },
  reportNodeLogs: {
    ...defaults,
    status: 204,
    maxBodyBytes: 1024 * KiB,
    method: 'POST',
    path: '/v1/regional-nodes/{node}/logs',
    function: 'regional-nodes',
    access: nodeItself,
    summary: 'A node hands in a batch of log entries.',
    params: nodeParams,
    body: NodeLogsRequest,
    answer: z.void(),
  },
  registerDevice: {
    ...mutation,
    method: 'POST',
    path: '/v1/devices',
    function: 'fleet',
    access: admin,
    summary: 'Register a device and sign its certificate.',
    body: fleet.RegisterDevice,
    answer: fleet.Registered,
  },
  listDevices: {
    ...defaults,
    method: 'GET',
    path: '/v1/devices',
    function: 'fleet',
    access: viewer,
    summary: 'Devices by label.',
    query: page.extend({ region: Slug.optional() }),
    answer: pageOf(fleet.DeviceView),
  },
  getDevice: {
    ...defaults,
    method: 'GET',
    path: '/v1/devices/{device}',
    function: 'fleet',
    access: viewer,
    summary: 'One device.',
    params: deviceParams,
    answer: fleet.DeviceView,
  },
  revokeDevice: {
    ...mutation,
    status: 200,
    method: 'POST',
    path: '/v1/devices/{device}/revoke',
    function: 'fleet',
    access: admin,
    summary: 'Revoke a device; it is refused from its next contact on.',
    params: deviceParams,
    answer: fleet.DeviceView,
  },
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof routes
