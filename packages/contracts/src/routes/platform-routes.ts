import * as z from 'zod'
import { ApiKeyCreated, ApiKeyView, CreateApiKey } from '../api-keys.ts'
import { AuditEntryView, AuditVerification } from '../audit.ts'
import { Timestamp, Uuid } from '../ids.ts'
import { admin, mutation, page, pageOf, type Route, reading } from './route.ts'

const keyParams = z.object({ key: Uuid })
const sequence = z.coerce.number().int().max(Number.MAX_SAFE_INTEGER)
const open = { kind: 'public' } as const

export const platformRoutes = {
  getHealth: {
    ...reading,
    method: 'GET',
    path: '/v1/health',
    function: 'health',
    access: open,
    summary: 'Whether the control plane and what it stands on answer. Degraded is slow or late, down is unusable.',
    unavailable: { member: 'status', value: 'down' },
    answer: z.object({
      status: z.enum(['ok', 'degraded', 'down']),
      checks: z.record(z.string(), z.enum(['ok', 'down'])),
    }),
  },
  getOpenApi: {
    ...reading,
    method: 'GET',
    path: '/v1/openapi.json',
    function: 'platform',
    access: open,
    summary: 'This document: OpenAPI 3.1.',
    answer: z.looseObject({ openapi: z.string() }),
  },
  getDocs: {
    ...reading,
    method: 'GET',
    path: '/v1/docs',
    function: 'platform',
    access: open,
    summary: 'This document as a page for people.',
    media: 'text/html',
    answer: z.string(),
  },
  createApiKey: {
    ...mutation,
    method: 'POST',
    path: '/v1/api-keys',
    function: 'platform',
    access: admin,
    summary: 'Make an API key. It is shown once.',
    body: CreateApiKey,
    answer: ApiKeyCreated,
    shownOnce: 'key',
  },
  listApiKeys: {
    ...reading,
    method: 'GET',
    path: '/v1/api-keys',
    function: 'platform',
    access: admin,
    summary: 'API keys, newest first.',
    query: page,
    answer: pageOf(ApiKeyView),
  },
  getApiKey: {
    ...reading,
    method: 'GET',
    path: '/v1/api-keys/{key}',
    function: 'platform',
    access: admin,
    summary: 'One API key.',
    params: keyParams,
    answer: ApiKeyView,
  },
  revokeApiKey: {
    ...mutation,
    status: 200,
    method: 'POST',
    path: '/v1/api-keys/{key}/revoke',
    function: 'platform',
    access: admin,
    summary: 'Revoke an API key; it is refused within 10 s. Revoking again changes nothing.',
    params: keyParams,
    answer: ApiKeyView,
  },
  listAudit: {
    ...reading,
    method: 'GET',
    path: '/v1/audit',
    function: 'platform',
    access: admin,
    summary: 'The audit trail, newest first. An entry fits where every filter fits.',
    query: page.extend({
      actor: z.string().min(1).max(200).optional(),
      action: z.string().min(1).max(100).optional(),
      subject: z.string().min(1).max(300).optional(),
      /** From this time on. */
      from: Timestamp.optional(),
      /** Before this time. */
      to: Timestamp.optional(),
    }),
    answer: pageOf(AuditEntryView),
  },
  exportAudit: {
    ...reading,
    method: 'GET',
    path: '/v1/audit/export',
    function: 'platform',
    access: admin,
    summary:
      'Entries after a number in their order, one a line (NDJSON). Ask again after the last number until nothing comes.',
    query: z.strictObject({
      after: sequence.min(0).default(0),
      most: sequence.min(1).max(2000).default(1000),
    }),
    media: 'application/x-ndjson',
    answer: z.string(),
  },
  verifyAudit: {
    ...reading,
    method: 'GET',
    path: '/v1/audit/verify',
    function: 'platform',
    access: admin,
    summary: 'Verify a stretch of the hash chain; `next` says where to go on.',
    query: z.strictObject({
      from: sequence.min(1).default(1),
      most: sequence.min(1).max(20_000).default(10_000),
    }),
    answer: AuditVerification,
  },
} as const satisfies Record<string, Route>
