import * as z from 'zod'
import { NodeLogsRequest, NodeStatusAnswer, NodeStatusRequest } from '../node-status.ts'
import { KiB, nodeItself, nodeParams, type Route, reading } from './route.ts'

export const nodeRoutes = {
  reportNodeStatus: {
    ...reading,
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
    ...reading,
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
} as const satisfies Record<string, Route>
